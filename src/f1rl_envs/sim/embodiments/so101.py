"""The SO-101, a printed arm of 5 joints and a jaw that turns.

**Gains**: of a commanded change of all joints, 63 % is done within its own control step of 50 ms and 87 % by the end of
the next, so that what an action does shows in the very next picture; nothing is overshot. Under random targets
of steps up to 0.03 rad the lag is 0.006 rad on average and 0.015 rad at most (``python -m benchmarks.tracking``).

The jaw's own gains are soft: closing takes it about half a second, as its servo does, and it flings nothing away. The
description has no inertia of the geared servos, without which links of 12 to 100 g snap off an obstacle at 60 rad/s;
with it 10,000 steps of the largest actions stay below 10 rad/s.
"""

from __future__ import annotations

from f1rl_envs.sim.embodiments.base import ASSETS, Arm, CameraMount, CameraView, Finger

SO101 = Arm(
    name="so101",
    urdf=ASSETS / "so101" / "so101.urdf",
    joints=("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
    limits=(
        (-1.91986, 1.91986),
        (-1.74533, 1.74533),
        (-1.69, 1.69),
        (-1.65806, 1.65806),
        (-2.74385, 2.84121),
    ),
    home=(0.0, -0.7, 0.6, 1.2, 1.5708),
    fingers=(Finger("gripper", closed=-0.174533, open=1.74533),),
    finger_links=("gripper_link", "moving_jaw_so101_v1_link"),
    tcp_link="gripper_frame_link",
    tcp_offset=(0.0, 0.0, 0.0),
    wrist_camera=CameraMount.looking(
        "gripper_frame_link", (-0.01, -0.06, -0.075), forward=(0.0, 0.45, 0.9), up=(0.0, 1.0, 0.0), fov=1.3
    ),
    head_camera=CameraView(eye=(0.62, 0.3, 0.5), target=(0.0, -0.01, 0.08), fov=0.95),
    stiffness=2e2,
    damping=1e1,
    force_limit=3.0,
    finger_stiffness=2e1,
    finger_damping=4.0,
    finger_force_limit=1.0,
    armature=0.02,
    base_position=(-0.16, 0.0, 0.0),
)
