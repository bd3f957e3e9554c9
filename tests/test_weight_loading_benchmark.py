"""Loading takes the memory of about one copy of the weights, in a process that does nothing else."""

from __future__ import annotations

from pathlib import Path

from benchmarks.weight_loading import measure


def test_loading_needs_little_more_than_one_copy_of_the_weights(tmp_path: Path) -> None:
    found = measure("probe", tmp_path)
    assert found["weights_mib"] > 200
    assert 1.0 <= found["final_copies"] <= found["peak_copies"] < 1.5
    assert list(tmp_path.iterdir()) == []
