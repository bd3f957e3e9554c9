"""Where a tool centre point is, and the joints that bring it somewhere: one implementation for numpy and torch.

Joints are ``[..., J]`` in radians, poses ``[..., 4, 4]`` in the frame of the arm's base; any number of arms at once.
All is ``float64``, so that one scene in numpy and a batch in torch agree to rounding errors far below a drive's.

The inverse is damped least squares (Nakamura and Hanafusa 1986): a fixed number of Newton steps from a posture close
to the wanted one. The damping keeps it finite at singularities, where it stops short instead of whirling; a joint that
is at its limit and wanted beyond it is taken out of a step, so that the others do what can be done.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.chain import Chain, read_chain

if TYPE_CHECKING:
    from f1rl_envs.sim.control.rotations import Array
    from f1rl_envs.sim.embodiments import Arm

DAMPING = 1e-4
"""Squared singular value of the Jacobian at which a Newton step is halved."""
ITERATIONS = 3
"""Newton steps of one control step; the error after them is about 1e-6 of a commanded delta away from singularities."""
FAR_ITERATIONS = 40
"""Newton steps to the best compromise of an arm that cannot take every pose."""
AT_LIMIT = 1e-6
"""Distance from a limit in radians below which a joint counts as being there."""

_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


class Kinematics:
    """Forward and inverse kinematics of one arm."""

    def __init__(self, chain: Chain, limits: Array, xp: Any, device: Any = None) -> None:
        """Prepare the constants.

        Args:
            chain: the arm's joints.
            limits: ``[J, 2]``, lowest and highest angle of each joint.
            xp: the module ``numpy`` or ``torch`` that the arrays belong to.
            device: where the tensors live (torch only).
        """
        keywords = {"dtype": xp.float64} if device is None else {"dtype": xp.float64, "device": device}

        def constant(values: Array) -> Array:
            return xp.asarray(values, **keywords)

        self.xp = xp
        self.low, self.high = constant(limits[:, 0]), constant(limits[:, 1])
        self.as_array = constant
        self._fixed, self._tip = constant(chain.fixed), constant(chain.tip)
        # F Rz(q) = F (1 + sin(q) K + (1 - cos(q)) K^2), where K is the cross product with z.
        self._sine, self._cosine = self._fixed * 0.0, self._fixed * 0.0
        self._sine[:, :, 0], self._sine[:, :, 1] = self._fixed[:, :, 1], -self._fixed[:, :, 0]
        self._cosine[:, :, :2] = -self._fixed[:, :, :2]
        self._identity = constant([[float(i == j) for j in range(6)] for i in range(6)])
        # An arm of fewer than six joints cannot take every pose: its tip goes to the place, and turns as far as it may.
        self.full = len(self.low) >= 6
        self._weight = constant([1.0] * 3 + [1.0 if self.full else 0.03] * 3)
        self._place_only = constant([1.0] * 3 + [0.0] * 3)

    def frames(self, joints: Array) -> tuple[list[Array], Array]:
        """Return the frames of all joints, ``J`` times ``[..., 4, 4]``, and the pose of the tip."""
        xp = self.xp
        sine, cosine = xp.sin(joints)[..., None, None], 1.0 - xp.cos(joints)[..., None, None]
        local = self._fixed + sine * self._sine + cosine * self._cosine
        frames = [local[..., 0, :, :]]
        for i in range(1, local.shape[-3]):
            frames.append(frames[-1] @ local[..., i, :, :])
        return frames, frames[-1] @ self._tip

    def forward(self, joints: Array) -> Array:
        """Return the pose of the tip, ``[..., 4, 4]``."""
        return self.frames(joints)[1]

    def jacobian(self, joints: Array) -> tuple[Array, Array]:
        """Return the pose of the tip and its Jacobian ``[..., 6, J]``: three rows of motion, three of rotation."""
        xp = self.xp
        frames, tip = self.frames(joints)
        stacked = xp.stack(frames, -1)  # [..., 4, 4, J]
        axis, lever = stacked[..., :3, 2, :], tip[..., :3, 3:] - stacked[..., :3, 3, :]
        arm = axis[..., _NEXT, :] * lever[..., _LAST, :] - axis[..., _LAST, :] * lever[..., _NEXT, :]
        return tip, xp.concatenate([arm, axis], -2)

    def distance(self, wanted: Array, reached: Array) -> Array:
        """Return metres and radians between two poses of the tip, ``[..., 2]``.

        The rotation is not counted for an arm of fewer than six joints, which cannot choose it freely.
        """
        xp = self.xp
        metres = xp.sqrt(((wanted[..., :3, 3] - reached[..., :3, 3]) ** 2).sum(-1))
        if not self.full:
            return xp.stack([metres, metres * 0.0], -1)
        return xp.stack([metres, rotations.angle_between(wanted[..., :3, :3], reached[..., :3, :3], xp)], -1)

    def step_towards(self, joints: Array, target: Array, weight: Array) -> Array:
        """Return the joints after one damped Newton step towards the pose ``target``, within the limits.

        Args:
            joints: ``[..., J]``, where the step begins.
            target: ``[..., 4, 4]``; the last row is not read.
            weight: ``[6]``, of the errors along x, y and z and about them.
        """
        xp = self.xp
        tip, jacobian = self.jacobian(joints)
        error = xp.concatenate(
            [target[..., :3, 3] - tip[..., :3, 3], rotations.error(target[..., :3, :3], tip[..., :3, :3], xp)], -1
        )
        error = (error * weight)[..., None]
        jacobian = jacobian * weight[:, None]
        pull = (jacobian.swapaxes(-1, -2) @ error)[..., 0]
        stuck = ((joints > self.high - AT_LIMIT) & (pull > 0)) | ((joints < self.low + AT_LIMIT) & (pull < 0))
        jacobian = xp.where(stuck[..., None, :], 0.0, jacobian)
        turned = jacobian.swapaxes(-1, -2)
        moved = turned @ xp.linalg.solve(jacobian @ turned + DAMPING * self._identity, error)
        return xp.minimum(xp.maximum(joints + moved[..., 0], self.low), self.high)

    def inverse(self, joints: Array, target: Array) -> Array:
        """Return the joints for a pose ``target`` that is close to that of ``joints``."""
        for _ in range(ITERATIONS):
            joints = self.step_towards(joints, target, self._weight)
        return joints

    def inverse_from_far(self, joints: Array, target: Array) -> Array:
        """Return the joints for a pose ``target``, from the best that another solver found.

        Those of an arm of fewer than six joints first turn the tip as far as they may, and then bring it to the place.
        """
        if not self.full:
            for _ in range(FAR_ITERATIONS):
                joints = self.step_towards(joints, target, self._weight)
        weight = self._weight if self.full else self._place_only
        for _ in range(ITERATIONS):
            joints = self.step_towards(joints, target, weight)
        return joints


@lru_cache
def arm_chain(arm: Arm) -> Chain:
    """Return the joints of an arm from its base to its tool centre point.

    Raises:
        ValueError: if the arm's description has other joints in between.
    """
    tip = np.eye(4)
    tip[:3, 3] = arm.tcp_offset
    joints = [name.removeprefix(arm.prefix) for name in arm.joints]
    return read_chain(arm.urdf, joints, arm.tcp_link.removeprefix(arm.prefix), tip)


def arm_kinematics(arm: Arm, xp: Any = np, device: Any = None) -> Kinematics:
    """Return the kinematics of an arm for numpy arrays, or for torch tensors on a device."""
    return Kinematics(arm_chain(arm), np.array(arm.limits), xp, device)
