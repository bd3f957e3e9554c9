"""How joint targets follow commands: one rule for each control mode that needs no planner.

A rule takes the joint target so far, a command in physical units and the measured joints, and returns the next target.
It keeps nothing, and works on ``[J]`` numpy arrays (one scene) as on ``[N, J]`` torch tensors (a batch), so that both
forms of the environment share each line.

**Targets, not positions.** A delta is added to the drive's *target*: what is commanded then adds up exactly, whatever
the drive's lag, and no sag creeps in. Two bounds keep the target honest: the joint limits, and :data:`MAX_LEAD` around
the measured joints, so that an arm pressed against the table does not store up a long way to jump when it comes free.

**End-effector deltas** are composed with the pose that the target joints have, rotation vectors in the base frame
about the tool centre point. Where the arm cannot follow (out of reach, at a limit, faster than :data:`MAX_POSE_LEAD` a
step) it takes half or a quarter of the command, or stays, and the next delta starts from there: nothing winds up,
nothing jumps, and it never drifts sideways in search of a compromise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from f1rl_envs.sim.control import rotations
from f1rl_envs.sim.control.modes import JOINT_BOUND

if TYPE_CHECKING:
    from f1rl_envs.sim.control.kinematics import Kinematics
    from f1rl_envs.sim.control.rotations import Array

MAX_LEAD = 0.15
"""Furthest that a joint's target may be from where the joint is, in radians; well above the lag in free motion."""
MAX_POSE_LEAD = 0.3
"""Likewise for end-effector deltas, some of which ask more of a joint; also the furthest that one moves a joint."""
REACH_TOLERANCE = (5e-4, 2e-3)
"""Metres and radians by which the target may miss the commanded pose and still count as reaching it."""
_FRACTIONS = (0.25, 0.5)
"""What is tried, in rising order, of a command that cannot be followed as a whole."""
_TINY = 1e-12


class Rule(Protocol):
    """From a command to the next joint target."""

    def advance(self, target: Array, command: Array, position: Array) -> tuple[Array, Array | None]:
        """Return the next target, and by how much it misses the command.

        Args:
            target: ``[..., J]``, the target so far in radians.
            command: ``[..., K]``, the arm's entries of an action in physical units.
            position: ``[..., J]``, the measured joints in radians.

        Returns:
            The target ``[..., J]``, and ``[..., 2]``: metres and radians between the commanded pose and that of the
            target; None for commands of joints.
        """
        ...


def _bounded(target: Array, position: Array, lead: float, arm: Kinematics) -> Array:
    """Return ``target`` within ``lead`` radians of the position and within the limits."""
    xp = arm.xp
    target = xp.minimum(xp.maximum(target, position - lead), position + lead)
    return xp.minimum(xp.maximum(target, arm.low), arm.high)


class JointDelta:
    """``delta_qpos``: adds the command to the target."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Take the arm, for its limits."""
        self._arm = kinematics

    def advance(self, target: Array, command: Array, position: Array) -> tuple[Array, None]:
        """As :meth:`Rule.advance`; ``command`` is ``[..., J]`` in radians."""
        return _bounded(target + command, position, MAX_LEAD, self._arm), None


class JointApproach:
    """``qpos``: moves the target straight towards the commanded joints, at a bounded speed.

    The fastest joint moves ``0.1 rad * action_scale`` a step and all arrive together, so that a far command does not
    slam; a command that is held is reached.
    """

    def __init__(self, kinematics: Kinematics, action_scale: float) -> None:
        """Take the arm, for its limits, and the speed as a share of the largest."""
        self._arm = kinematics
        self._speed = JOINT_BOUND * action_scale

    def advance(self, target: Array, command: Array, position: Array) -> tuple[Array, None]:
        """As :meth:`Rule.advance`; ``command`` is ``[..., J]`` in radians."""
        target = target + _shortened(command - target, self._speed, self._arm.xp)
        return _bounded(target, position, MAX_LEAD, self._arm), None


class PoseDelta:
    """``delta_ee`` and ``delta_ee_pos``: moves the pose of the tool centre point."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Take the arm's kinematics."""
        self._kinematics = kinematics

    def advance(self, target: Array, command: Array, position: Array) -> tuple[Array, Array]:
        """As :meth:`Rule.advance`; ``command`` is ``[..., 3]`` in metres, or ``[..., 6]`` with a rotation vector."""
        arm, xp = self._kinematics, self._kinematics.xp
        target, command, position = (arm.as_array(values) for values in (target, command, position))
        start = arm.forward(target)
        moved, miss = self._towards(target, self._displaced(start, command), position)
        reached = is_reached(miss)
        if bool(reached.all()):
            return moved, miss
        moved = xp.where(reached[..., None], moved, target)
        for fraction in _FRACTIONS:
            shorter, error = self._towards(target, self._displaced(start, fraction * command), position)
            moved = xp.where((is_reached(error) & ~reached)[..., None], shorter, moved)
        moved = _bounded(moved, position, MAX_POSE_LEAD, arm)
        return moved, arm.distance(self._displaced(start, command), arm.forward(moved))

    def _displaced(self, pose: Array, command: Array) -> Array:
        """Return ``pose`` moved and turned by a command, ``[..., 3, 4]``."""
        xp = self._kinematics.xp
        place = pose[..., :3, 3] + command[..., :3]
        turn = pose[..., :3, :3]
        if command.shape[-1] == 6:
            turn = rotations.from_vector(command[..., 3:], xp) @ turn
        return xp.concatenate([turn, place[..., None]], -1)

    def _towards(self, target: Array, wanted: Array, position: Array) -> tuple[Array, Array]:
        """Return the joints closest to the pose ``wanted`` within all bounds, and their distance from it."""
        arm, xp = self._kinematics, self._kinematics.xp
        moved = target + _shortened(arm.inverse(target, wanted) - target, MAX_POSE_LEAD, xp)
        moved = _bounded(moved, position, MAX_POSE_LEAD, arm)
        return moved, arm.distance(wanted, arm.forward(moved))


def _shortened(step: Array, most: float, xp: Any) -> Array:
    """Return ``step`` (``[..., J]``) made shorter, in its direction, so that no entry exceeds ``most``."""
    longest = xp.amax(xp.abs(step), -1)[..., None]
    return step * xp.clip(most / (longest + _TINY), 0.0, 1.0)


def rule(mode: str, kinematics: Kinematics, action_scale: float) -> Rule:
    """Return the rule of a mode.

    Raises:
        KeyError: if the mode plans, or there is no such mode.
    """
    return {
        "delta_qpos": lambda: JointDelta(kinematics),
        "delta_ee_pos": lambda: PoseDelta(kinematics),
        "delta_ee": lambda: PoseDelta(kinematics),
        "qpos": lambda: JointApproach(kinematics, action_scale),
    }[mode]()


def is_reached(miss: Array) -> Array:
    """Return whether targets that miss by ``[..., 2]`` metres and radians count as reaching their command."""
    return (miss[..., 0] <= REACH_TOLERANCE[0]) & (miss[..., 1] <= REACH_TOLERANCE[1])
