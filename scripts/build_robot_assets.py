"""Build the low-polygon robots that ship in ``src/f1rl_envs/assets``.

A software renderer pays for triangles, not for pixels: the original visual meshes have tens or hundreds of thousands,
what this script writes has at most about eight thousand an arm and looks the same in a picture of 256 pixels. Sources
are packages on PyPI whose robots have permissive licences::

    pip install -e '.[assets]'
    for wheel in example-robot-data==6.0.0 rtb-data==2.0.0; do pip download --no-deps --dest wheels $wheel; done
    python scripts/build_robot_assets.py wheels                 # all robots
    python scripts/build_robot_assets.py wheels --only so101    # one

Written for each robot: a URDF (mesh paths relative to it), an SRDF (pairs of links that need no collision check),
``visual/*.glb`` and ``collision/*.stl``. ``LICENSE`` and ``NOTICE`` (origin and list of changes) are kept by hand
beside them.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path

from robot_assets import collisions, description
from robot_assets.recipes import RECIPES

from f1rl_envs.sim.embodiments import ARMS

LOG = logging.getLogger("build_robot_assets")
ASSETS = Path(__file__).resolve().parents[1] / "src" / "f1rl_envs" / "assets"


def home_of(urdf: Path) -> dict[str, float]:
    """Return the joint positions of the arm that ``urdf`` describes, gripper open, at the start of an episode."""
    (arm,) = (arm for arm in ARMS.values() if arm.urdf == urdf)
    fingers = {finger.joint: finger.open for finger in arm.fingers}
    return {**dict(zip(arm.joints, arm.home, strict=True)), **fingers}


def build(folder: str, wheel: Path) -> None:
    """Build one robot from an unpacked wheel."""
    recipe, target = RECIPES[folder], ASSETS / folder
    for part in ("visual", "collision"):
        shutil.rmtree(target / part, ignore_errors=True)
        (target / part).mkdir(parents=True)
    urdf = target / f"{recipe.name}.urdf"
    urdf.with_suffix(".srdf").unlink(missing_ok=True)
    root = recipe.source(wheel)
    recipe.extend(root)
    before, after = description.build_links(root, recipe, wheel, target)
    description.reduce(root)
    description.write(root, urdf)
    pairs = recipe.pairs(wheel) if recipe.pairs else collisions.ignorable_pairs(urdf, home_of(urdf))
    description.write_pairs(pairs, recipe.name, urdf.with_suffix(".srdf"))
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    LOG.info("%-14s %6d -> %5d triangles, %4d kB, %d pairs", folder, before, after, size // 1024, len(pairs))


def main() -> None:
    """Build the robots from a folder of downloaded wheels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, help="folder of the downloaded wheels")
    parser.add_argument("--only", choices=RECIPES, action="append", help="build this robot only; may be repeated")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as scratch:
        for folder in args.only or RECIPES:
            name, _, version = RECIPES[folder].wheel.partition("==")
            unpacked = Path(scratch) / name
            if not unpacked.exists():
                (path,) = args.wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl")
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(unpacked)
            build(folder, unpacked)


if __name__ == "__main__":
    main()
