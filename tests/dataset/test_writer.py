"""Episodes written and read back: equal bit for bit, continued, never half there."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import f1rl.dataset.writer as writer_module
from dataset_support import episodes, meaning, record, same
from f1rl.dataset import newest_file
from f1rl.dataset.reader import EpisodeDataset
from f1rl.dataset.recorder import EpisodeRecorder
from f1rl.dataset.writer import DatasetWriter
from f1rl.errors import DatasetError, EnvironmentFailure
from f1rl.records import files
from f1rl.records.files import write_atomically

COLLECTED = episodes(7)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the next file so often that a handful of episodes fills several."""
    monkeypatch.setattr(writer_module, "DATA_FILE_BYTES", {"png": 100_000, "video": 2_000})
    monkeypatch.setattr(writer_module, "EPISODES_PER_FILE", 3)


def read_all(root: Path) -> list[object]:
    dataset = EpisodeDataset(root)
    return [dataset.read(number, number) for number in range(len(dataset.episodes))]


@pytest.mark.usefixtures("small_files")
def test_episodes_come_back_bit_for_bit_in_any_order(tmp_path: Path) -> None:
    dataset = EpisodeDataset(record(tmp_path / "set", COLLECTED))
    assert len(list((dataset.root / "data").rglob("*.parquet"))) > 1
    assert len(list((dataset.root / "meta" / "episodes").rglob("*.parquet"))) == 3
    for number in (3, 6, 0, 5, 1, 2, 4, 3):
        got = dataset.read(number, 40 + number)
        assert same(got, COLLECTED[number])
        assert got.request.index == 40 + number


def test_videos_are_close_and_an_order_smaller_than_rendering_noise(tmp_path: Path) -> None:
    dataset = EpisodeDataset(record(tmp_path / "set", COLLECTED[:2], images="video"))
    for number in range(2):
        got, expected = dataset.read(number, number), COLLECTED[number]
        assert same(got, expected, exact_pictures=False)
        error = np.square(got.image.astype(float) - expected.image).mean()
        assert 0 < error < 255**2 / 10**3.5  # above 35 dB


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("images", ["png", "video"])
def test_a_dataset_is_continued_and_leaves_out_what_it_has(tmp_path: Path, images: str) -> None:
    once = record(tmp_path / "once", COLLECTED, images)
    record(tmp_path / "twice", COLLECTED[:4], images)
    writer = DatasetWriter(tmp_path / "twice", meaning(), images)
    assert [writer.add(episode) for episode in COLLECTED] == [False] * 4 + [True] * 3
    writer.close()
    for name in ("meta/info.json", "meta/stats.json", "meta/f1rl.json"):
        a, b = (json.loads((root / name).read_text()) for root in (once, tmp_path / "twice"))
        assert a == b
    for got, expected in zip(read_all(tmp_path / "twice"), COLLECTED, strict=True):
        assert same(got, expected, exact_pictures=images == "png")


def test_what_a_policy_does_from_the_same_start_is_kept_and_a_replay_is_not(tmp_path: Path) -> None:
    first = COLLECTED[0]
    group = [replace(first, action=first.action * share) for share in (1.0, 0.5, 0.25)]
    record(tmp_path, group)
    writer = DatasetWriter(tmp_path, meaning(), "png")
    assert [writer.add(episode) for episode in (*group, replace(first, action=-first.action))] == [False] * 3 + [True]
    writer.close()
    for got, expected in zip(read_all(tmp_path), [*group, replace(first, action=-first.action)], strict=True):
        assert same(got, expected)


def test_a_second_writer_is_refused_while_the_first_one_works(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, meaning(), "png")
    with pytest.raises(DatasetError, match="another process"):
        DatasetWriter(tmp_path, meaning(), "png")
    writer.close()
    DatasetWriter(tmp_path, meaning(), "png").close()


def test_other_pictures_or_another_robot_are_not_appended(tmp_path: Path) -> None:
    root = record(tmp_path / "set", COLLECTED[:1])
    with pytest.raises(DatasetError, match=r"rollout\.record\.images=png"):
        DatasetWriter(root, meaning(), "video")
    with pytest.raises(DatasetError, match="variant: arm in the dataset, cue in this run"):
        DatasetWriter(root, meaning(variant="cue"), "png")
    record(root, COLLECTED[1:2], max_steps=9)  # a step limit does not change what a number means
    assert len(EpisodeDataset(root).episodes) == 2


_ENDLESS = """
import sys
from pathlib import Path
from dataset_support import episodes, meaning
from f1rl.dataset.writer import DatasetWriter
writer, seed = DatasetWriter(Path(sys.argv[1]), meaning(), sys.argv[2]), int(sys.argv[3])
while True:
    for episode in episodes(3, first_seed=seed):
        writer.add(episode)
        print(episode.request.seed, flush=True)
    seed += 3
"""


@pytest.mark.parametrize("images", ["png", "video"])
def test_a_killed_recording_keeps_every_finished_episode_and_goes_on(tmp_path: Path, images: str) -> None:
    finished: list[int] = []
    for attempt, enough in enumerate((1, 5)):
        first = 1000 * (attempt + 1)
        process = subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(tmp_path), images, str(first)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])},
            stdout=subprocess.PIPE,
            text=True,
        )
        finished += [int(process.stdout.readline()) for _ in range(enough)]
        process.send_signal(signal.SIGKILL)
        finished += [int(line) for line in process.stdout.read().split()]
        process.wait()
        dataset = EpisodeDataset(tmp_path)
        seeds = [place.seed for place in dataset.episodes]
        assert seeds[: len(finished)] == finished
        assert len(seeds) <= len(finished) + 1  # one may have been finished, but not yet announced
        finished = seeds
    for number, place in enumerate(dataset.episodes):
        offset = (place.seed % 1000) % 3
        expected = episodes(offset + 1, first_seed=place.seed - offset)[-1]
        assert same(dataset.read(number, number), expected, exact_pictures=images == "png")


def test_rows_beyond_the_list_of_episodes_are_replaced(tmp_path: Path) -> None:
    """A crash between the two files leaves rows that no list mentions."""
    root = record(tmp_path / "set", COLLECTED[:2])
    lists = {path: path.read_bytes() for path in (root / "meta").rglob("*") if path.is_file()}
    record(root, COLLECTED[2:3])
    for path, contents in lists.items():
        path.write_bytes(contents)
    assert len(read_all(root)) == 2
    record(root, COLLECTED[3:5])
    assert all(same(*pair) for pair in zip(read_all(root), [*COLLECTED[:2], *COLLECTED[3:5]], strict=True))


@pytest.mark.parametrize("refused", range(4))
def test_a_disk_that_refuses_once_costs_no_earlier_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """Whichever file the disk refuses, it takes the next ones again; the writer does not go on over the gap."""
    writer, calls = DatasetWriter(tmp_path, meaning(), "png"), itertools.count()
    writer.add(COLLECTED[0])

    def flaky(path: Path, data: bytes) -> None:
        if next(calls) == refused:
            raise EnvironmentFailure("No space left on device")
        write_atomically(path, data)

    for module in (newest_file, files):
        monkeypatch.setattr(module, "write_atomically", flaky)
    for episode in COLLECTED[1:3]:
        with pytest.raises(EnvironmentFailure, match="No space"):
            writer.add(episode)
    writer.close()
    assert len(read_all(tmp_path)) in (1, 2)  # the list of episodes may have come before the refusal
    writer = DatasetWriter(tmp_path, meaning(), "png")
    for episode in COLLECTED[1:3]:
        writer.add(episode)
    writer.close()
    assert all(same(*pair) for pair in zip(read_all(tmp_path), COLLECTED[:3], strict=True))


def test_a_recorder_writes_in_the_background_and_reports_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = EpisodeRecorder(DatasetWriter(tmp_path / "set", meaning(), "png"))
    for episode in COLLECTED:
        recorder.add(episode)
    recorder.close()
    assert all(same(*pair) for pair in zip(read_all(tmp_path / "set"), COLLECTED, strict=True))

    def full(*_: object) -> None:
        raise EnvironmentFailure("No space left on device")

    recorder = EpisodeRecorder(DatasetWriter(tmp_path / "other", meaning(), "png"))
    monkeypatch.setattr(writer_module, "write_atomically", full)
    recorder.add(COLLECTED[0])
    with pytest.raises(EnvironmentFailure, match="No space"):
        recorder.close()
