"""Opens a recorded dataset with lerobot's own reader and compares every row with what f1rl reads.

Usage: ``python scripts/read_with_lerobot.py outputs/teacher_rl/dataset``

``lerobot`` pins older versions of torch and transformers than this project. It is therefore installed without its
dependencies into an environment of its own, beside the few packages that its reader needs, and sees the project's other
packages. All that its reader takes from torchvision is the conversion of a picture; a stand-in takes its place, because
its compiled part would need another torch. Only datasets with ``images=png`` can be read this way.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PACKAGES = (
    "lerobot==0.4.4", "datasets==4.8.5", "huggingface_hub==0.35.3", "pandas", "multiprocess", "dill", "xxhash", "httpx",
    "httpcore", "jsonlines", "accelerate", "draccus", "mergedeep", "pyyaml-include", "typing-inspect",
    "mypy_extensions", "toml", "termcolor", "deepdiff", "orderly-set",
)  # fmt: skip

READER = """
import sys, types
from importlib.machinery import ModuleSpec
from pathlib import Path
import numpy as np
import torch

class ToTensor:
    def __call__(self, picture):
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

names = ("torchvision", "torchvision.transforms", "torchvision.transforms.v2", "torchvision.transforms.v2.functional")
for name in names:
    module = sys.modules[name] = types.ModuleType(name)
    module.__spec__, module.__path__, module.ToTensor, module.Transform = ModuleSpec(name, None), [], ToTensor, object
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from f1rl.dataset.reader import EpisodeDataset

theirs, ours = LeRobotDataset("local/check", root=sys.argv[1]), EpisodeDataset(Path(sys.argv[1]))
print(theirs)
mask, row = np.array(ours.meaning.spec.state_mask), 0
for number in range(len(ours.episodes)):
    episode = ours.read(number, number)
    for step in range(len(episode) + 1):
        item = theirs[row]
        for camera, name in enumerate(ours.meaning.spec.cameras):
            picture = (item[f"observation.images.{name}"] * 255).round().to(torch.uint8).numpy()
            assert np.array_equal(picture, episode.image[step, camera]), (number, step, name)
        assert np.array_equal(item["observation.state"].numpy(), episode.state[step, mask]), (number, step)
        assert bool(item["is_last"]) == (step == len(episode)), (number, step)
        assert int(item["episode_index"]) == number and isinstance(item["task"], str), (number, step)
        row += 1
assert row == len(theirs), (row, len(theirs))
print(f"equal: {row} rows of {len(ours.episodes)} episodes")
"""


def main(dataset: Path) -> int:
    """Install, read and compare; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        packages = Path(sysconfig.get_paths(vars={"base": folder, "platbase": folder})["purelib"])
        beside = [sysconfig.get_paths()["purelib"], str(Path(__file__).resolve().parents[1] / "src")]
        (packages / "project.pth").write_text("\n".join(beside))
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES], check=True)
        return subprocess.run([python, "-c", READER, str(dataset)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
