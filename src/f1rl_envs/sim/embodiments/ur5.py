"""The Universal Robots UR5, 6 joints, with a parallel gripper made of boxes in the proportions of a WSG 50.

**Gains**: of a commanded change of all joints, 63 % is done within its own control step of 50 ms and 87 % by the end of
the next, so that what an action does shows in the very next picture; nothing is overshot. Under random targets
of steps up to 0.03 rad the lag is 0.006 rad on average and 0.016 rad at most (``python -m benchmarks.tracking``).
"""

from __future__ import annotations

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

_HALF_TURN = 3.14159265359

UR5 = Arm(
    name="ur5",
    urdf=ASSETS / "ur5" / "ur5.urdf",
    joints=(
        "shoulder_pan_joint",
        "shoulder_lift_joint",
        "elbow_joint",
        "wrist_1_joint",
        "wrist_2_joint",
        "wrist_3_joint",
    ),
    limits=((-_HALF_TURN, _HALF_TURN),) * 6,
    home=(-0.1998, -1.4255, 1.6449, -1.7902, -1.5708, -1.7705),
    fingers=tuple(Finger(f"{side}_finger_joint", closed=0.0, open=0.055) for side in ("left", "right")),
    finger_links=("left_finger", "right_finger"),
    tcp_link="tcp",
    tcp_offset=(0.0, 0.0, 0.0),
    wrist_camera=CameraMount.looking(
        "gripper_base", (0.09, 0.0, 0.04), forward=(-0.257, 0.0, 0.966), up=(-1.0, 0.0, 0.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.92, 0.32, 0.72), target=(-0.1, -0.02, 0.2), fov=0.95),
    stiffness=8e3,
    damping=4e2,
    force_limit=150.0,
    finger_stiffness=4e3,
    finger_damping=2e2,
    finger_force_limit=80.0,
    base_position=(-0.45, 0.0, 0.004),
)
