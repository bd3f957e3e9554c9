"""Draw the pictures of the documentation: every embodiment, seen by its head and its wrist camera.

::

    python scripts/render_docs.py                       # all, into docs/images
    python scripts/render_docs.py --only so101 --target /tmp
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from f1rl.config.compose import compose, groups
from f1rl.launch.build import env_config
from f1rl_envs import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import gymnasium

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"
SIZE = 240
"""Height and width of a view in pixels."""
OVERSAMPLING = 2
SEED, SCENE_SEED = 3, 5
QUALITY = 82
PLAIN = ("randomization.random_background=false", "randomization.random_light=false")


def make_env(options: Sequence[str], size: int = SIZE) -> gymnasium.Env:
    """Return an environment with all cameras of its embodiment, for pictures of good quality.

    Args:
        options: words of the command line, e.g. ``embodiment=ur5``.
        size: height and width of its :func:`pictures` in pixels.
    """
    resolution = size * OVERSAMPLING
    sizes = (f"camera.resolution={resolution}", f"model.image_size={resolution}")
    config = env_config(compose([*sizes, *options]))
    if len(config["embodiment"]["arms"]) > 1:
        config["camera"]["names"] = ["head", "wrist", "wrist_right"]
    return registry.make(config)


def pictures(observation: dict[str, np.ndarray], size: int = SIZE) -> list[np.ndarray]:
    """Return the views of an observation, ``uint8 [size, size, 3]`` each, in the order of the cameras."""
    views = (Image.fromarray(view.transpose(1, 2, 0)) for view in observation["image"])
    return [np.array(view.resize((size, size), Image.Resampling.LANCZOS)) for view in views]


def views(embodiment: str, size: int = SIZE) -> list[np.ndarray]:
    """Return what the cameras of an embodiment see at the start of an episode.

    Args:
        embodiment: an option of the group of that name.
        size: height and width in pixels.
    """
    with closing(make_env([f"embodiment={embodiment}", *PLAIN], size)) as env:
        return pictures(env.reset(seed=SEED, options={"scene_seed": SCENE_SEED})[0], size)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = groups()["embodiment"]
    parser.add_argument("--only", choices=options, action="append", help="draw this embodiment only; may be repeated")
    parser.add_argument("--target", type=Path, default=TARGET)
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    for name in args.only or options:
        path = args.target / f"embodiment_{name}.jpg"
        Image.fromarray(np.concatenate(views(name), axis=1)).save(path, quality=QUALITY, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
