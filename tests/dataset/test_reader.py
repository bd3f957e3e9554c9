"""Datasets that cannot be used: one clear error each, when they are opened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_support import episodes, meaning, record
from f1rl.dataset.reader import EpisodeDataset
from f1rl.errors import DatasetError

COLLECTED = episodes(4)
DATA = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("set"), COLLECTED)


def changed_info(root: Path, **changes: object) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), path)


def reorder(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table.slice(5), table.slice(0, 5)]), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root), "no dataset at"),
        (lambda root: shutil.rmtree(root / "meta" / "episodes"), "holds no episodes"),
        (lambda root: (root / "meta" / "info.json").write_text("{"), "info.json cannot be read"),
        (lambda root: changed_info(root, codebase_version="v2.1"), "version v2.1; this program reads v3.0"),
        (lambda root: changed_info(root, features={}), "contradicts meta/f1rl.json"),
        (lambda root: (root / "meta" / "f1rl.json").unlink(), "was not recorded by this program"),
        (lambda root: (root / "meta" / "f1rl.json").write_text('{"format": 99}'), "format 99"),
        (lambda root: (root / DATA).unlink(), "file-000.parquet cannot be read: FileNotFoundError"),
        (lambda root: truncate(root / DATA), "file-000.parquet cannot be read"),
        (lambda root: foreign(root / DATA), "file-000.parquet cannot be read"),
        (lambda root: reorder(root / DATA), "are not episode 0"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_opened(
    recorded: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    root = Path(shutil.copytree(recorded, tmp_path / "copy"))
    damage(root)
    with pytest.raises(DatasetError, match=message) as caught:
        EpisodeDataset(root)
    assert str(root) in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_missing_and_a_truncated_video_are_named(tmp_path: Path) -> None:
    root = record(tmp_path / "set", COLLECTED[:2], "video")
    path = root / "videos" / "observation.images.wrist" / "chunk-000" / "file-001.mp4"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DatasetError, match=r"wrist/chunk-000/file-001.mp4 cannot be read"):
        EpisodeDataset(root).read(1, 1)
    path.unlink()
    with pytest.raises(DatasetError, match=r"wrist/chunk-000/file-001.mp4 is missing"):
        EpisodeDataset(root)


def test_another_environment_is_shown_as_a_table(recorded: Path) -> None:
    other = {"camera__names": ["wrist"], "camera__resolution": 32, "variant": "cue", "max_steps": 50}
    with pytest.raises(DatasetError) as caught:
        EpisodeDataset(recorded).meaning.require(meaning(**other), recorded)
    lines = str(caught.value).splitlines()
    assert "  env.camera.names: ['head', 'wrist'] in the dataset, ['wrist'] in this run" in lines
    assert "  env.camera.resolution: 64 in the dataset, 32 in this run" in lines
    assert "  env.variant: arm in the dataset, cue in this run" in lines
    assert not any("max_steps" in line for line in lines)


def test_a_dataset_that_has_grown_can_be_read_as_it_was(recorded: Path, tmp_path: Path) -> None:
    root = record(tmp_path / "set", COLLECTED[:3])
    before = EpisodeDataset(root).digest()
    record(root, COLLECTED[3:])
    assert EpisodeDataset(root).digest() == EpisodeDataset(recorded).digest() != before
    assert EpisodeDataset(root, limit=3).digest() == before
    with pytest.raises(DatasetError, match="holds 4 episodes, but had 9"):
        EpisodeDataset(root, limit=9)
