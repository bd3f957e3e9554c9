"""A recorded dataset is a LeRobot dataset v3.0: files, columns, indices and statistics as the format describes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_support import episodes, record
from f1rl.dataset.names import action_names, state_names
from f1rl_envs.spec import EnvSpec

COLLECTED = episodes(5)
LENGTHS = [len(episode) + 1 for episode in COLLECTED]


@pytest.fixture(scope="module", params=["png", "video"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("set"), COLLECTED, request.param)


def info(root: Path) -> dict:
    return json.loads((root / "meta" / "info.json").read_text())


def rows(root: Path) -> pa.Table:
    paths = sorted((root / "data").glob("chunk-*/file-*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths])


def test_info_counts_and_lists_what_is_there(root: Path) -> None:
    found = info(root)
    assert found["codebase_version"] == "v3.0"
    assert (found["total_episodes"], found["total_frames"], found["total_tasks"]) == (5, sum(LENGTHS), 1)
    assert (found["fps"], found["splits"]) == (20, {"train": "0:5"})
    columns = {name for name, feature in found["features"].items() if feature["dtype"] != "video"}
    assert columns == set(rows(root).column_names)
    assert all("/" not in name for name in found["features"])


JOINTS = [*(f"joint_{number}" for number in range(7)), "gripper"]
PAIR = [*range(7), 8, *range(9, 16), 17]  # of two arms of seven joints
PAIR_POSITIONS = [*range(3), 8, *range(9, 12), 17]


@pytest.mark.parametrize(
    ("mode", "actions", "states", "grippers", "names"),
    [
        ("delta_qpos", range(8), range(8), [7], JOINTS),
        ("delta_ee", range(7), range(8), [6], ["x", "y", "z", "rx", "ry", "rz", "gripper"]),
        ("delta_ee_pos", PAIR_POSITIONS, PAIR, [8, 17], ["x", "y", "z", "gripper"]),
    ],
)
def test_the_entries_of_a_vector_are_named(
    mode: str, actions: Iterable[int], states: Iterable[int], grippers: list[int], names: list[str]
) -> None:
    masks = [tuple(entry in real for entry in range(32)) for real in (actions, states)]
    spec = EnvSpec("any", ("wrist",), 64, 50, 20.0, *masks, grippers=tuple(grippers))
    sides = [""] if len(grippers) == 1 else ["left_", "right_"]
    assert action_names({"control": {"mode": mode}}, spec) == [side + name for side in sides for name in names]
    assert state_names(spec) == [side + name for side in sides for name in JOINTS]


def test_columns_have_the_types_that_info_promises(root: Path) -> None:
    schema = rows(root).schema
    for name, feature in info(root)["features"].items():
        if feature["dtype"] == "image":
            assert schema.field(name).type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        elif feature["dtype"] != "video":
            kind = schema.field(name).type
            if feature["shape"] != [1]:
                assert kind.list_size == feature["shape"][0] == len(feature["names"])
                kind = kind.value_type
            assert str(kind) == {"float32": "float"}.get(feature["dtype"], feature["dtype"])


def test_indices_number_rows_frames_and_episodes(root: Path) -> None:
    table = rows(root).to_pydict()
    assert table["index"] == list(range(sum(LENGTHS)))
    assert table["episode_index"] == [episode for episode, length in enumerate(LENGTHS) for _ in range(length)]
    assert table["frame_index"] == [frame for length in LENGTHS for frame in range(length)]
    assert table["timestamp"] == pytest.approx([frame / 20 for frame in table["frame_index"]])
    assert set(table["task_index"]) == {0}


def test_the_last_row_is_an_observation_without_an_action(root: Path) -> None:
    table = rows(root).to_pydict()
    ends = np.cumsum(LENGTHS) - 1
    assert np.flatnonzero(table["is_last"]).tolist() == ends.tolist()
    assert np.flatnonzero(table["next.done"]).tolist() == sorted([*ends - 1, *ends])
    assert not np.array(table["action"])[ends].any()
    assert [table["next.success"][end - 1] for end in ends] == [True, False, True, False, True]


def test_the_list_of_episodes_points_at_rows_and_videos(root: Path) -> None:
    table = pq.read_table(root / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [row["length"] for row in table] == LENGTHS
    assert [row["dataset_to_index"] for row in table] == np.cumsum(LENGTHS).tolist()
    for row in table:
        assert row["tasks"] == ["toy"]
        assert row["stats/index/min"] == [row["dataset_from_index"]]
        for name, feature in info(root)["features"].items():
            if feature["dtype"] == "video":
                place = {key: row[f"videos/{name}/{key}"] for key in ("chunk_index", "file_index")}
                path = root / info(root)["video_path"].format(video_key=name, **place)
                with av.open(str(path)) as container:
                    stream = container.streams.video[0]
                    times = [frame.time for frame in container.decode(stream)]
                    assert feature["info"]["video.pix_fmt"] == stream.pix_fmt
                assert times == pytest.approx([frame / 20 for frame in range(row["length"])])
                assert row[f"videos/{name}/to_timestamp"] == pytest.approx(row["length"] / 20)


def test_statistics_of_the_whole_are_those_of_all_rows(root: Path) -> None:
    stats = json.loads((root / "meta" / "stats.json").read_text())
    states = np.concatenate([episode.state for episode in COLLECTED])[:, :8].astype(float)
    assert stats["observation.state"]["count"] == [sum(LENGTHS)]
    for key, value in (
        ("min", states.min(0)),
        ("max", states.max(0)),
        ("mean", states.mean(0)),
        ("std", states.std(0)),
    ):
        assert stats["observation.state"][key] == pytest.approx(value)
    pictures = np.concatenate([episode.image[:, 1] for episode in COLLECTED]) / 255
    assert np.array(stats["observation.images.wrist"]["mean"]).shape == (3, 1, 1)
    assert np.ravel(stats["observation.images.wrist"]["mean"]) == pytest.approx(pictures.mean((0, 2, 3)))
    assert stats.keys() == info(root)["features"].keys()


def test_tasks_are_found_by_the_index_of_a_pandas_frame(root: Path) -> None:
    table = pq.read_table(root / "meta" / "tasks.parquet")
    index = table.schema.pandas_metadata["index_columns"]
    assert table.to_pydict() == {"task_index": [0], index[0]: ["toy"]}
    assert {c["field_name"] for c in table.schema.pandas_metadata["columns"]} == set(table.column_names)
