"""The UFACTORY xArm 7, 7 joints, with a parallel gripper made of boxes.

**Gains**: of a commanded change of all joints, 60 % is done within its own control step of 50 ms and 88 % by the end of
the next, so that what an action does shows in the very next picture; the overshoot is at most 7 %. Under random targets
of steps up to 0.03 rad the lag is 0.006 rad on average and 0.022 rad at most (``python -m benchmarks.tracking``).
"""

from __future__ import annotations

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

_TURN = 6.283185307179586

XARM7 = Arm(
    name="xarm7",
    urdf=ASSETS / "xarm7" / "xarm7.urdf",
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    limits=(
        (-_TURN, _TURN),
        (-2.059, 2.0944),
        (-_TURN, _TURN),
        (-0.19198, 3.927),
        (-_TURN, _TURN),
        (-1.69297, 3.141592653589793),
        (-_TURN, _TURN),
    ),
    home=(0.0, 0.3076, 0.0, 1.3536, 0.0, 1.046, -1.5708),
    fingers=tuple(Finger(f"{side}_finger_joint", closed=0.0, open=0.043) for side in ("left", "right")),
    finger_links=("left_finger", "right_finger"),
    tcp_link="tcp",
    tcp_offset=(0.0, 0.0, 0.0),
    wrist_camera=CameraMount.looking(
        "gripper_base", (0.085, 0.0, 0.035), forward=(-0.257, 0.0, 0.966), up=(-1.0, 0.0, 0.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.92, 0.32, 0.72), target=(-0.1, -0.02, 0.2), fov=0.95),
    stiffness=6e3,
    damping=3e2,
    force_limit=50.0,
    finger_stiffness=4e3,
    finger_damping=2e2,
    finger_force_limit=80.0,
    base_position=(-0.45, 0.0, 0.004),
)
