"""Draw the contact sheets of the documentation: every embodiment, control mode and randomisation.

::

    python scripts/gallery.py                                  # all, into docs/images
    python scripts/gallery.py --only control --target /tmp

Each sheet is a column of labelled strips of pictures. Embodiments and randomisation options are those of the
configuration groups, so that one that is added there shows here.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from render_docs import PLAIN, QUALITY, SCENE_SEED, SEED, TARGET, make_env, pictures

from f1rl.config.compose import groups
from f1rl_envs.sim.control import modes
from f1rl_envs.spec import PADDED_DIM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE = 150
"""Height and width of a picture in pixels."""
GAP, LINE, FONT_SIZE = 4, 24, 15
BACKGROUND, INK = (255, 255, 255), (30, 30, 30)
SCENES = 5
"""Scenes of a randomisation's strip."""
FRAMES = 5
"""Pictures of a motion, the first and the last included."""
STEPS_BETWEEN = 5
"""Steps from one picture of a motion to the next; one where a step is a whole plan."""
STEPS_TURNED = 15
"""Steps for which an embodiment turns its first joints."""

MOTIONS = {
    "delta_qpos": ("turns the first joint, bends the fourth", {0: 0.6, 3: 0.8, 7: 1.0}),
    "delta_ee_pos": ("moves the gripper forward and up; it keeps its orientation", {0: 0.4, 2: 0.6, 3: 1.0}),
    "delta_ee": ("turns the gripper about its own tip, which stays where it is", {3: 0.4, 4: -0.6, 6: 1.0}),
    "qpos": ("goes to a posture", {0: 0.25, 1: 0.1, 3: -0.3, 5: 0.1, 7: -1.0}),
    "ee_pose": ("goes to a place in one step, by a planned way; then to the next", {}),
}
"""What the arm does in each control mode: in words, and the entries of the action."""
PLACES = ((-0.6, 0.6, 0.0), (-0.2, -0.7, -0.5), (0.3, 0.0, 0.4), (-0.5, 0.2, -0.7))
"""Where ``ee_pose`` goes, in shares of the workspace box."""

LOOKS = (
    ("none", "random_background=true"),
    ("none", "random_light=true"),
    ("fixed", "random_appearance=true"),
    ("fixed", "camera_position_jitter=0.08"),
    ("fixed", "camera_rotation_jitter=0.15"),
)
"""One key of the randomisation at a time: the option to start from, and what is changed in it."""
STARTS = (
    ("none", "cluttered_table=true", "num_objects=[1,8]"),
    ("fixed", "num_objects=[3,3]", "object_size=[0.08,0.1]", "object_shapes=[l_shape,mug,bowl]"),
    ("fixed", "num_objects=[3,3]", "object_size=[0.02,0.12]"),
    ("none", "initial_pose_noise=0.2"),
)
"""Likewise the keys of objects and robot; densities and frictions cannot be seen."""


@dataclass(frozen=True)
class Strip:
    """One labelled row of a sheet."""

    label: str
    note: str
    """What is to be seen."""
    pictures: list[np.ndarray]
    """``uint8 [SIZE, SIZE, 3]`` each."""


def embodiments() -> Iterator[Strip]:
    """Yield every embodiment at the start of an episode, and with its first joints turned and its grippers closed."""
    for name in groups()["embodiment"]:
        with closing(make_env([f"embodiment={name}", *PLAIN], SIZE)) as env:
            start = pictures(env.reset(seed=SEED, options={"scene_seed": SCENE_SEED})[0], SIZE)
            action = np.zeros(PADDED_DIM, np.float32)
            action[[0, 9]] = 0.8  # the first joint of each arm; entry 9 means nothing to one arm
            action[list(env.env_spec.grippers)] = -1.0
            end = pictures(env.step_chunk(np.tile(action, (STEPS_TURNED, 1)))[0], SIZE)
        cameras = "wrist" if len(start) == 2 else "wrist, wrist_right"
        yield Strip(f"embodiment={name}", f"cameras head, {cameras}; head, turned", [*start, end[0]])


def control_modes() -> Iterator[Strip]:
    """Yield a motion of the Panda in every control mode, seen by the head camera."""
    for mode in modes.MODES:
        note, entries = MOTIONS[mode]
        with closing(make_env([f"control={mode}", *PLAIN], SIZE)) as env:
            frames = [pictures(env.reset(seed=SEED, options={"scene_seed": SCENE_SEED})[0], SIZE)[0]]
            frames += [pictures(env.step_chunk(action)[0], SIZE)[0] for action in actions(mode, entries)]
        yield Strip(f"control={mode}", note, frames)


def actions(mode: str, entries: dict[int, float]) -> Iterator[np.ndarray]:
    """Yield the actions from each picture of a motion to the next, ``float32 [k, 32]``."""
    for frame in range(FRAMES - 1):
        chunk = np.zeros((1 if mode in modes.PLANNING_MODES else STEPS_BETWEEN, PADDED_DIM), np.float32)
        chunk[:, list(entries)] = list(entries.values())
        if mode in modes.PLANNING_MODES:
            chunk[:, :3] = PLACES[frame]
        yield chunk


def randomization() -> Iterator[Strip]:
    """Yield scenes of every option of the group."""
    for name in groups()["randomization"]:
        yield scenes(f"randomization={name}", [f"randomization={name}"])


def keys(table: Sequence[tuple[str, ...]]) -> Iterator[Strip]:
    """Yield scenes with one key, or what belongs to it, changed at a time."""
    for option, *words in table:
        yield scenes(" ".join(words), [f"randomization={option}", *(f"randomization.{word}" for word in words)])


def scenes(label: str, options: list[str]) -> Strip:
    """Return the start of some episodes, each in a scene of its own, seen by the head camera."""
    with closing(make_env(options, SIZE)) as env:
        starts = [env.reset(seed=seed, options={"scene_seed": seed})[0] for seed in range(SCENES)]
    return Strip(label, f"{SCENES} episodes", [pictures(start, SIZE)[0] for start in starts])


SHEETS = {
    "embodiments": embodiments,
    "control": control_modes,
    "randomization": randomization,
    "randomization_looks": partial(keys, LOOKS),
    "randomization_starts": partial(keys, STARTS),
}


def draw(strips: list[Strip]) -> Image.Image:
    """Return the sheet: strips from top to bottom, each under its label."""
    columns = max(len(strip.pictures) for strip in strips)
    height = LINE + SIZE + GAP
    sheet = Image.new("RGB", (columns * (SIZE + GAP) + GAP, len(strips) * height + GAP), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for row, strip in enumerate(strips):
        pen.text((GAP, row * height + GAP), f"{strip.label}   ({strip.note})", INK, font)
        for column, picture in enumerate(strip.pictures):
            sheet.paste(Image.fromarray(picture), (GAP + column * (SIZE + GAP), row * height + LINE))
    return sheet


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHEETS, action="append", help="draw this sheet only; may be repeated")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.target.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or SHEETS:
        path = arguments.target / f"gallery_{name}.jpg"
        draw(list(SHEETS[name]())).save(path, quality=QUALITY, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
