"""Which ManiSkill tasks can be run, and with which robot: plain numbers, no simulator is imported here.

The tasks are those of ManiSkill 3.0.1 whose robot fits the 32-wide vectors and whose episodes its seeds decide. Those
without :attr:`Task.downloads` run from what the installed wheel contains (its models and textures are CC BY-NC 4.0;
f1rl neither ships nor needs them).
"""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f1rl_envs.sim.control import modes
from f1rl_envs.sim.embodiments import ARMS, Arm, CameraMount, Embodiment, Finger
from f1rl_envs.sim.spec import PAIR_CAMERAS, check_simulation
from f1rl_envs.spec import PADDED_DIM, EnvSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JOINT_MODE = "delta_qpos"
"""The control mode of a robot that is not made of f1rl's arms: its own joint controller."""
FRANKA = ARMS["franka"]


@dataclass(frozen=True)
class Robot:
    """A robot of ManiSkill's tasks: made of arms that f1rl describes, or left as it is."""

    arms: tuple[Arm, ...] = ()
    """One arm, or left and right; they have f1rl's control modes."""
    joints: int = 0
    """Without arms: joints that an action moves, by the robot's own ``pd_joint_delta_pos``."""
    passive: int = 0
    """Without arms: joints that only the state shows, after the others."""
    wrist_cameras: Mapping[str, CameraMount] = field(default_factory=dict)
    """Camera names and mounts: ``wrist`` of a single or left arm, ``wrist_right`` of a right one."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The control modes."""
        if not self.arms:
            return (JOINT_MODE,)
        return tuple(mode for mode in modes.MODES if mode not in modes.PLANNING_MODES)

    @property
    def embodiment(self) -> Embodiment:
        """The arms as f1rl's embodiment, in whose layout actions and states are."""
        return Embodiment(self.arms[0].name, self.arms, self.arms[0].head_camera)


def _so100() -> Arm:
    """Return the SO100 of ManiSkill's wheel, which is found without importing it."""
    (package,) = importlib.util.find_spec("mani_skill").submodule_search_locations
    return replace(
        FRANKA,
        name="so100",
        urdf=Path(package) / "assets/robots/so100/so100.urdf",
        joints=("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
        limits=((-2.0, 2.0), (-1.5708, 1.5708), (-1.5708, 1.5708), (-1.8, 1.8), (-3.14159, 3.14159)),
        home=(0.0, 0.0, 0.0, 1.5708, 1.5708),
        fingers=(Finger("gripper", closed=-1.1, open=1.1),),
        finger_links=("Fixed_Jaw", "Moving_Jaw"),
        tcp_link="Fixed_Jaw_tip",
        # The jaw points along -y of its link; the camera looks along it from above, tilted towards the tip.
        wrist_camera=CameraMount.looking(
            "Fixed_Jaw", (0.0, 0.01, 0.07), forward=(0.0, -0.9, -0.44), up=(0.0, 0.0, 1.0), fov=1.3
        ),
        stiffness=1e3,
        damping=1e2,
        finger_stiffness=1e3,
        finger_damping=1e2,
    )


def _of_arms(*arms: Arm) -> Robot:
    names = ("wrist", "wrist_right")
    return Robot(arms, wrist_cameras=dict(zip(names, (arm.wrist_camera for arm in arms), strict=False)))


ROBOTS = {
    "franka": _of_arms(FRANKA),
    "two franka": _of_arms(FRANKA, FRANKA),
    "so100": _of_arms(_so100()),
    "panda_stick": Robot(joints=7, wrist_cameras={"wrist": FRANKA.wrist_camera}),
    "dclaw": Robot(joints=9),
    "allegro": Robot(joints=16),
    "trifinger": Robot(joints=9),
    "unitree_g1": Robot(joints=25),
    "cartpole": Robot(joints=1, passive=1),
    "hopper": Robot(joints=4, passive=3),
    "ant": Robot(joints=8),
    "humanoid": Robot(joints=21),
}
"""The robots of the tasks; ``franka`` is f1rl's own model in place of ManiSkill's ``panda`` and ``panda_wristcam``."""


@dataclass(frozen=True)
class Task:
    """A task of ManiSkill."""

    robot: str
    """Key of :data:`ROBOTS`."""
    varies: bool = False
    """Whether the scene's seed decides what is built; where everything lies is the episode's."""
    downloads: tuple[str, ...] = ()
    """What must be downloaded first, by ManiSkill's names; such tasks are not checked by the tests."""


def _tasks(robot: str, *names: str, varies: bool = False) -> dict[str, Task]:
    return {f"{name}-v1": Task(robot, varies) for name in names}


TASKS: dict[str, Task] = {
    **_tasks("franka", "PickCube", "PushCube", "PullCube", "PullCubeTool", "PokeCube", "LiftPegUpright", "PlaceSphere"),
    **_tasks("franka", "RollBall", "StackCube", "StackPyramid", "PlugCharger", "FMBAssembly1Easy"),
    **_tasks("franka", "PegInsertionSide", varies=True),
    **_tasks("two franka", "TwoRobotPickCube", "TwoRobotStackCube"),
    **_tasks("so100", "PickCubeSO100"),
    **_tasks("panda_stick", "PushT", "DrawTriangle", "TableTopFreeDraw"),
    **_tasks("dclaw", *(f"RotateValveLevel{level}" for level in range(5)), varies=True),
    **_tasks("allegro", *(f"RotateSingleObjectInHandLevel{level}" for level in range(2)), varies=True),
    **_tasks("trifinger", *(f"TriFingerRotateCubeLevel{level}" for level in range(5))),
    **_tasks("unitree_g1", "UnitreeG1PlaceAppleInBowl", "UnitreeG1TransportBox"),
    **_tasks("cartpole", "MS-CartpoleBalance", "MS-CartpoleSwingUp"),
    **_tasks("hopper", "MS-HopperStand", "MS-HopperHop"),
    **_tasks("ant", "MS-AntWalk", "MS-AntRun"),
    **_tasks("humanoid", "MS-HumanoidStand", "MS-HumanoidWalk", "MS-HumanoidRun"),
    "PickSingleYCB-v1": Task("franka", True, ("ycb",)),
    "PickClutterYCB-v1": Task("franka", True, ("ycb", "pick_clutter_ycb_configs")),
    "AssemblingKits-v1": Task("franka", True, ("assembling_kits",)),
    "TurnFaucet-v1": Task("franka", True, ("partnet_mobility_faucet",)),
}
"""Every task that can be asked for."""


def check(config: Mapping[str, Any]) -> None:
    """Refuse an impossible configuration, naming everything that is wrong with it at once.

    The registry has checked that each key is there and has the right type.

    Raises:
        ValueError: naming each key, what was given and what is allowed.
    """
    faults = [*_check_task(config), *check_simulation(config, PAIR_CAMERAS)]
    if faults:
        raise ValueError("the configuration of maniskill is wrong:\n  " + "\n  ".join(faults))


def _check_task(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the task, and with what is asked of its robot."""
    name, mode, cameras = config["task"], config["control"]["mode"], list(config["camera"]["names"])
    if name not in TASKS:
        close = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        yield f"env.task={name!r}: {hint}There are {', '.join(TASKS)}"
        return
    robot = ROBOTS[TASKS[name].robot]
    if mode not in robot.modes:
        yield f"control.mode={mode!r}: the robot of {name} ({TASKS[name].robot}) has {', '.join(robot.modes)}"
    has = ("head", *robot.wrist_cameras)
    if not set(cameras) <= set(has):
        yield f"camera.names={cameras}: the robot of {name} ({TASKS[name].robot}) has {', '.join(has)}"


def spec(config: Mapping[str, Any]) -> EnvSpec:
    """Return the spec of the environment that :class:`f1rl_envs.sim.maniskill.ManiSkillEnv` would build.

    Raises:
        ValueError: as :func:`check`.
    """
    check(config)
    return EnvSpec(
        name=config["task"],
        cameras=tuple(config["camera"]["names"]),
        resolution=config["camera"]["resolution"],
        max_steps=config["max_steps"],
        control_freq=float(config["control_freq"]),
        **_vectors(ROBOTS[TASKS[config["task"]].robot], config["control"]),
    )


def _vectors(robot: Robot, control: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the spec says of actions and states."""
    if not robot.arms:
        sizes = {"action_mask": robot.joints, "state_mask": robot.joints + robot.passive}
        return {key: tuple(entry < size for entry in range(PADDED_DIM)) for key, size in sizes.items()}
    mode = control["mode"]
    actions = modes.actions(robot.embodiment, mode, control["action_scale"]).layout
    return {
        "action_mask": actions.mask,
        "state_mask": modes.states(robot.embodiment).layout.mask,
        "grippers": actions.grippers,
        "waypoints": modes.waypoints(robot.embodiment, mode),
    }
