"""A sweep of real runs on the simulator, as one array; and several ranks on several machines, each with its device."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e_support import Launcher
from slurm_support import ask, job_ids, short, wait_for_end

SIMULATOR = (
    "env=franka", "phase.num_episodes=4", "phase.save_every=4", "phase.val_every=4", "phase.val_episodes=2",
    "phase.sample_every=4", "phase.video_every=8", "env.scene_reset_interval=4", "env.max_steps=8",
    "phase.tokenizer.num_episodes=2", "phase.tokenizer.steps=5",
)  # fmt: skip

# Python imports sitecustomize in every process: like this each rank notes its variables when it imports what uses them.
NOTE_VARIABLES = """
import importlib.abc, json, os, sys

class Note(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "sapien") and "SLURM_PROCID" in os.environ:
            names = ("VK_DEVICE_INDEX", "SAPIEN_DEVICE_INDEX", "EGL_DEVICE_ID", "CUDA_VISIBLE_DEVICES")
            note = {"module": name, "rank": int(os.environ["SLURM_PROCID"]), "node": os.uname().nodename}
            note["variables"] = [os.environ.get(each) for each in names]
            with open(os.environ["NOTES"], "a") as file:
                file.write(json.dumps(note) + "\\n")
        return None

sys.meta_path.insert(0, Note())
"""


@pytest.mark.sim
@pytest.mark.slow
def test_a_sweep_on_the_simulator_is_one_array(cluster: Path, launcher: Launcher, tokenizer_cache: Path) -> None:
    words = short(tokenizer_cache, *SIMULATOR, "bptt=4,8", "seed=1,2", "hydra/launcher=f1rl_slurm")
    result = launcher.plain("-m", *words, "hydra.sweep.dir=sweep", "launcher.array_parallelism=2")
    assert result.returncode == 0, result.stdout + result.stderr
    sweep = launcher.directory / "sweep"
    (script,) = (sweep / "jobs").glob("*_submission.sh")
    assert "#SBATCH --array=0-3%2" in script.read_text()
    array = script.name.partition("_")[0]
    rows = [
        line.split("|")
        for line in ask("sacct", "-X", "-n", "-P", "-o", "JobID,State,Start,End", "-j", array).splitlines()
    ]
    assert [(name, state) for name, state, *_ in rows] == [(f"{array}_{n}", "COMPLETED") for n in range(4)]
    spans = [(start, end) for _, _, start, end in rows]
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) <= 2

    names = ["0_bptt=4,seed=1", "1_bptt=4,seed=2", "2_bptt=8,seed=1", "3_bptt=8,seed=2"]
    runs = [json.loads((sweep / name / "run.json").read_text()) for name in names]
    assert [(run["status"], run["seed"]) for run in runs] == [("done", 1), ("done", 2), ("done", 1), ("done", 2)]
    with (sweep / "summary.csv").open() as file:
        table = {row["job"]: row for row in csv.DictReader(file)}
    assert {name: (table[name]["bptt"], table[name]["seed"], table[name]["state"]) for name in names} == {
        name: (name.partition("bptt=")[2][0], name[-1], "COMPLETED") for name in names
    }
    assert all(name in (sweep / "summary.html").read_text() for name in names)


@pytest.mark.sim
@pytest.mark.slow
def test_every_rank_is_bound_before_anything_that_uses_devices(
    cluster: Path, launcher: Launcher, tokenizer_cache: Path
) -> None:
    (launcher.directory / "sitecustomize.py").write_text(NOTE_VARIABLES)
    notes = launcher.directory / "notes.jsonl"
    env = {"PYTHONPATH": f"{launcher.directory}:{os.environ.get('PYTHONPATH', '')}", "NOTES": str(notes)}
    ranks = (
        "trainer=ddp", "trainer.accelerator=cpu", "trainer.num_nodes=2", "trainer.cpu_threads=1",
        "launcher.gpus_per_node=2", "phase.num_episodes=8", "phase.val_episodes=1",
    )  # fmt: skip
    said = launcher.plain("submit", *short(tokenizer_cache, *SIMULATOR, *ranks, "output_dir=four"), env=env)
    assert said.returncode == 0, said.stderr
    (job,) = job_ids(said.stdout)
    wait_for_end(job)
    assert json.loads((launcher.directory / "four" / "run.json").read_text())["status"] == "done"
    noted = [json.loads(line) for line in notes.read_text().splitlines()]
    for module in ("torch", "sapien"):
        assert {note["rank"] for note in noted if note["module"] == module} == {0, 1, 2, 3}
    for note in noted:
        assert note["variables"] == [str(note["rank"] % 2)] * 3 + ["0,1"]
        assert note["node"] == f"node{note['rank'] // 2 + 1}"


def test_sapien_before_binding_is_an_error() -> None:
    program = "import sapien; from f1rl.launch.devices import setup_sapien_gpu; setup_sapien_gpu()"
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1", "LOCAL_RANK": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"SAPIEN was imported before this rank was bound to GPU 1", done.stderr)
