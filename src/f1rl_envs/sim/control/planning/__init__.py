"""Planners of ``ee_pose``: from a pose to the joint targets of each control period on the way there.

Importing this package imports no planner; :func:`load_planner` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from f1rl_envs.errors import PlannerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from f1rl_envs.sim.agents import RobotAgent
    from f1rl_envs.sim.embodiments import Arm, Embodiment

_NEEDED = {
    "ompl": (("ompl", "toppra", "fcl"), "pip install -e '.[planner]'"),
    "curobo": (
        ("curobo",),
        "an NVIDIA GPU and cuRobo 0.8 from its repository: git clone https://github.com/NVlabs/curobo && "
        "pip install './curobo[cu12]' (the packages curobo and nvidia-curobo on PyPI are empty), "
        "or choose control.planner=ompl",
    ),
}
"""Modules of each planner, and how to come by them."""


@dataclass(frozen=True)
class Plan:
    """What a planner found."""

    reachable: bool
    """Every pose has joints within the limits, whatever is in the way."""
    trajectory: np.ndarray | None
    """``float64 [K, J]``, joint targets of all arms for each control period; None if there is no way."""


class Planner(Protocol):
    """Finds ways for all arms of one robot at once."""

    def bind(self, agent: RobotAgent, scene: Any) -> None:
        """Take the robot and the ``sapien.Scene`` of an episode."""
        ...

    def plan(self, start: np.ndarray, poses: Sequence[np.ndarray], rng: np.random.Generator) -> Plan:
        """Find a way around what stands in the scene now.

        Args:
            start: ``[J]``, the joint targets of all arms so far, in radians.
            poses: the wanted pose of each arm's tool centre point, ``[4, 4]`` in the frame of its base.
            rng: decides all that is random.
        """
        ...


def load_planner(name: str, robot: Embodiment, speed: float, period: float) -> Planner:
    """Import and build a planner.

    Args:
        name: ``ompl`` or ``curobo``.
        robot: the embodiment.
        speed: fastest speed of a joint in rad/s.
        period: seconds between the targets of a trajectory.

    Raises:
        PlannerError: if it is not installed or cannot run on this machine; says what to do.
    """
    modules, remedy = _NEEDED[name]
    # A folder of that name on sys.path has a spec too, but no origin.
    specs = {module: find_spec(module) for module in modules}
    missing = [module for module, spec in specs.items() if spec is None or spec.origin is None]
    if missing:
        raise PlannerError(f"control.planner={name} needs {', '.join(missing)}, which is not installed: {remedy}")
    if name == "ompl":
        from f1rl_envs.sim.control.planning.ompl_planner import OmplPlanner

        return OmplPlanner(robot, speed, period)
    from f1rl_envs.sim.control.planning.curobo_planner import CuroboPlanner

    return CuroboPlanner(robot, speed, period)


def link_pose_in_root(robot: Embodiment, arm: Arm, pose: np.ndarray) -> np.ndarray:
    """Return where the link with the tool centre point must be, ``[4, 4]`` in the frame of the robot's root link.

    Args:
        robot: the embodiment.
        arm: one of its arms.
        pose: the wanted pose of the tool centre point in the frame of the arm's base.
    """
    pose = pose.copy()
    pose[:3, 3] += np.subtract(arm.base_position, robot.root_position) - pose[:3, :3] @ arm.tcp_offset
    return pose
