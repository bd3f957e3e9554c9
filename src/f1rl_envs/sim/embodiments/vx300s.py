"""The Trossen ViperX 300 S, the arm of ALOHA: 6 joints and a parallel gripper.

**Gains**: of a commanded change of all joints, 63 % is done within its own control step of 50 ms and 87 % by the end of
the next, so that what an action does shows in the very next picture; nothing is overshot. Under random targets
of steps up to 0.03 rad the lag is 0.006 rad on average and 0.016 rad at most (``python -m benchmarks.tracking``).
"""

from __future__ import annotations

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

VX300S = Arm(
    name="vx300s",
    urdf=ASSETS / "vx300s" / "vx300s.urdf",
    joints=("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"),
    limits=(
        (-3.141592653589793, 3.141592653589793),
        (-1.8500490071139892, 1.7627825445142729),
        (-1.6057029118347832, 1.7627825445142729),
        (-3.141592653589793, 3.141592653589793),
        (-2.2689280275926285, 1.8675022996339325),
        (-3.141592653589793, 3.141592653589793),
    ),
    home=(0.0, 0.0952, -0.3263, 0.0, -0.8127, 0.0),
    fingers=tuple(Finger(f"{side}_finger", closed=0.021, open=0.057) for side in ("left", "right")),
    finger_links=("left_finger_link", "right_finger_link"),
    tcp_link="ee_gripper_link",
    tcp_offset=(0.0, 0.0, 0.0),
    wrist_camera=CameraMount.looking(
        "gripper_link", (0.02, 0.0, 0.075), forward=(0.93, 0.0, -0.36), up=(0.0, 0.0, -1.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.8, 0.32, 0.62), target=(-0.1, -0.02, 0.15), fov=0.95),
    stiffness=1e3,
    damping=5e1,
    force_limit=15.0,
    finger_stiffness=1e3,
    finger_damping=5e1,
    finger_force_limit=30.0,
    base_position=(-0.34, 0.0, 0.0),
)
