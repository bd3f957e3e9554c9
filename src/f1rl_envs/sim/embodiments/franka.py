"""The Franka Panda, 7 joints and a parallel gripper."""

from __future__ import annotations

import numpy as np

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

_CAMERA_TILT = 0.26
"""The camera looks along the fingers, tilted towards them by this angle.

The hand's frame has z along the approach and y along the fingers' opening. A rotation of ``-90 degrees - tilt`` about y
turns the camera's +x from the hand's x to its z and beyond, towards -x, where the fingers are.
"""
_HALF_TURN = (-np.pi / 2 - _CAMERA_TILT) / 2

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
    wrist_camera=CameraMount(
        "panda_hand", (0.08, 0.0, 0.01), (float(np.cos(_HALF_TURN)), 0.0, float(np.sin(_HALF_TURN)), 0.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.92, 0.32, 0.72), target=(-0.1, -0.02, 0.2), fov=0.95),
    stiffness=4e3,
    damping=2e2,
    force_limit=100.0,
    finger_force_limit=100.0,
    base_position=(-0.5, 0.0, 0.0),
)
