"""The Franka Panda, 7 joints and a parallel gripper.

**Gains**: of a commanded change of all joints, 60 % is done within its own control step of 50 ms and 89 % by the end of
the next, so that what an action does shows in the very next picture; the overshoot is at most 6 %. Under random targets
of steps up to 0.03 rad the lag is 0.006 rad on average and 0.019 rad at most (``python -m benchmarks.tracking``).
ManiSkill's stiffness of 1000 and damping of 100 do 39 % and 63 %.
"""

from __future__ import annotations

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

FRANKA = Arm(
    name="franka",
    urdf=ASSETS / "franka_panda" / "panda.urdf",
    joints=tuple(f"panda_joint{i}" for i in range(1, 8)),
    limits=(
        (-2.8973, 2.8973),
        (-1.7628, 1.7628),
        (-2.8973, 2.8973),
        (-3.0718, -0.0698),
        (-2.8973, 2.8973),
        (-0.0175, 3.7525),
        (-2.8973, 2.8973),
    ),
    home=(0.0, 0.3927, 0.0, -1.9635, 0.0, 2.3562, 0.7854),
    fingers=tuple(Finger(f"panda_finger_joint{i}", closed=0.0, open=0.04) for i in (1, 2)),
    finger_links=("panda_leftfinger", "panda_rightfinger"),
    tcp_link="panda_hand_tcp",
    tcp_offset=(0.0, 0.0, 0.0),
    # The hand's z is the approach. The camera looks along the fingers, tilted towards them by 0.26 rad.
    wrist_camera=CameraMount.looking(
        "panda_hand", (0.08, 0.0, 0.01), forward=(-0.257, 0.0, 0.966), up=(-1.0, 0.0, 0.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.92, 0.32, 0.72), target=(-0.1, -0.02, 0.2), fov=0.95),
    stiffness=4e3,
    damping=2e2,
    force_limit=100.0,
    finger_stiffness=4e3,
    finger_damping=2e2,
    finger_force_limit=100.0,
    base_position=(-0.5, 0.0, 0.0),
)
