"""Two training processes keep one model."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from e2e_support import Launcher

TWO_RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1", "phase.num_episodes=8")

DUMP_WEIGHTS = """
import os, pathlib
import f1rl.launch.run as run

train = run.run

def train_and_dump(cfg):
    import torch
    from f1rl.launch import training
    fit = training._fit
    def fit_and_dump(cfg, directory, data, module, callbacks):
        fit(cfg, directory, data, module, callbacks)
        torch.save(module.model.state_dict(), pathlib.Path(os.environ["DUMP"]) / os.environ.get("LOCAL_RANK", "0"))
    training._fit = fit_and_dump
    return train(cfg)

run.run = train_and_dump
"""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def test_two_ranks_hold_equal_weights_and_share_the_episodes(launcher: Launcher) -> None:
    dump = launcher.directory / "weights"
    dump.mkdir()
    # Python imports sitecustomize in every process: like this each rank leaves its final weights for this test.
    (launcher.directory / "sitecustomize.py").write_text(DUMP_WEIGHTS)
    result = launcher.run("output_dir=two", *TWO_RANKS, env={"PYTHONPATH": str(launcher.directory), "DUMP": str(dump)})
    assert result.returncode == 0, result.stdout + result.stderr

    first, second = weights(dump / "0"), weights(dump / "1")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    run = launcher.directory / "two"
    start = weights(run / "checkpoint-8" / "model.pt")
    assert all(torch.equal(start[key], first[key]) for key in first)

    records = [json.loads(line) for line in (run / "episode_metrics.jsonl").read_text().splitlines()]
    assert [r["episode"] for r in records] == [1, 3, 5, 7]  # rank 0 records its own; the clocks count both
    assert records[-1]["total_steps"] == 8 * 13
    assert json.loads((run / "run.json").read_text())["status"] == "done"
