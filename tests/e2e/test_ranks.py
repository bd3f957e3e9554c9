"""Two training processes keep one model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from e2e_support import Launcher

TWO_RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1", "phase.num_episodes=8")


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def test_two_ranks_hold_equal_weights_and_share_the_episodes(launcher: Launcher) -> None:
    dump = launcher.directory / "weights"
    dump.mkdir()
    # Python imports sitecustomize in every process: each rank leaves its final weights for this test.
    (launcher.directory / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "def wrap():\n"
        "    import torch, f1rl.launch.training as training\n"
        "    fit = training._fit\n"
        "    def dumping(cfg, directory, data, module, callbacks):\n"
        "        fit(cfg, directory, data, module, callbacks)\n"
        f"        torch.save(module.model.state_dict(), pathlib.Path({str(dump)!r}) / os.environ.get('LOCAL_RANK', '0'))\n"
        "    training._fit = dumping\n"
        "import f1rl.launch.run as run\n"
        "original = run.run\n"
        "def run_and_dump(cfg):\n"
        "    wrap()\n"
        "    return original(cfg)\n"
        "run.run = run_and_dump\n"
    )
    result = launcher.run("output_dir=two", *TWO_RANKS, env={"PYTHONPATH": str(launcher.directory)})
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
