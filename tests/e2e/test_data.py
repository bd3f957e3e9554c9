"""Recording and training from datasets through the command line: kept whole, resumed exactly, no simulator needed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import env_configs
from dataset_support import episodes, record, same
from e2e_support import Launcher, lines, metrics, validations, wait_until
from f1rl.dataset.meaning import Meaning
from f1rl.dataset.reader import EpisodeDataset
from f1rl.dataset.writer import DatasetWriter
from f1rl_envs import registry
from f1rl_envs.collect import collect_episode
from f1rl_envs.spec import Episode, EpisodeRequest

SEED = 3


def seeds(dataset: EpisodeDataset) -> list[tuple[int, int]]:
    return [(episode.seed, episode.scene_seed) for episode in dataset.episodes]


def mixed(recorded: Path, output_dir: str, *overrides: str) -> tuple[str, ...]:
    """Return the words of a run that trains on both kinds of episodes and keeps the fresh ones."""
    words = (
        "phase.num_episodes=16",
        "rollout=mixed",
        f"rollout.datasets=[{recorded}]",
        "rollout.record.enabled=true",
        f"seed={SEED}",
    )
    return (*words, f"output_dir={output_dir}", *overrides)


def test_a_mixed_and_recorded_run_that_is_killed_goes_on_as_if_it_was_not(launcher: Launcher) -> None:
    recorded = record(launcher.directory / "recorded", episodes(10, max_steps=13), max_steps=13)
    result = launcher.run(*mixed(recorded, "whole"))
    assert result.returncode == 0, result.stdout + result.stderr

    process = launcher.start(*mixed(recorded, "killed"))
    run = launcher.directory / "killed"
    wait_until(lambda: (run / "checkpoint-8").exists() and lines(run / "episode_metrics.jsonl") >= 10, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = seeds(EpisodeDataset(run / "dataset"))
    record(recorded, episodes(2, first_seed=900, max_steps=13), max_steps=13)  # may grow meanwhile
    result = launcher.run(*mixed(recorded, "killed", "resume=auto"))
    assert result.returncode == 0, result.stdout + result.stderr

    whole = launcher.directory / "whole"
    assert metrics(run) == metrics(whole)
    assert validations(run) == validations(whole)
    fresh = {(m["seed"], m["scene_seed"]) for m in metrics(whole)} - set(seeds(EpisodeDataset(recorded)))
    assert 3 < len(fresh) < 13
    for directory in (whole, run):
        found = seeds(EpisodeDataset(directory / "dataset"))
        assert len(set(found)) == len(found)
        assert set(found) == fresh
    assert found[: len(kept)] == kept


SIMULATOR = env_configs.simulator(max_steps=13)


def simulated() -> Iterator[Episode]:
    """Collect a few episodes of different scenes on the simulator."""
    env, spec = registry.make(SIMULATOR), registry.spec(SIMULATOR)
    for index in range(8):
        yield collect_episode(env, spec, EpisodeRequest(index, 40 + index, 60 + index))
    env.close()


@pytest.mark.sim
def test_what_the_simulator_showed_is_trained_on_where_no_simulator_works(launcher: Launcher) -> None:
    collected = list(simulated())
    writer = DatasetWriter(launcher.directory / "recorded", Meaning(SIMULATOR, registry.spec(SIMULATOR)), "png")
    for episode in collected:
        writer.add(episode)
    writer.close()
    dataset = EpisodeDataset(launcher.directory / "recorded")
    for number, episode in enumerate(collected):
        got = dataset.read(number, number)
        assert same(got, episode)
        assert np.ptp(got.image) > 100

    words = ("env=franka", "rollout=offline", "rollout.datasets=[recorded]", "output_dir=run")
    result = launcher.run(*words, env={"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"})
    assert result.returncode == 0, result.stdout + result.stderr
    trained_on = {m["seed"] for m in metrics(launcher.directory / "run")}
    assert len(trained_on) == 5  # of 8, three are held out
    assert trained_on < {episode.request.seed for episode in collected}
