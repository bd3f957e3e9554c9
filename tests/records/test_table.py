"""Records as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from f1rl.records.table import MetricTable


def table(*batches: list[dict]) -> MetricTable:
    made = MetricTable()
    for batch in batches:
        made.extend(batch)
    return made


def test_columns_of_batches_with_different_keys_line_up() -> None:
    made = table([{"a": 1, "b": True}], [{"a": None, "c": 2.5}, {"a": 3}], [], [{"b": False}])
    assert len(made) == 4
    assert made.names() == ["a", "b", "c"]
    np.testing.assert_equal(made.column("a"), [1, np.nan, 3, np.nan])
    np.testing.assert_equal(made.column("b"), [1, np.nan, np.nan, 0])
    np.testing.assert_equal(made.column("c"), [np.nan, 2.5, np.nan, np.nan])
    assert list(made.rows())[1] == [None, None, 2.5]
    assert made.last == {"b": False}


def test_text_is_kept_but_is_no_numeric_column() -> None:
    made = table([{"a": 1}], [{"a": 2, "note": "slow"}], [{"a": "three"}])
    assert made.numeric() == []
    assert "a" not in made
    with pytest.raises(KeyError, match="no numeric column 'note'"):
        made.column("note")
    assert list(made.rows()) == [[1.0, None], [2.0, "slow"], ["three", None]]


@pytest.mark.parametrize("lists", [[[], []], [[1.0, 2.0], [3.0, 4.0]], [["a", "b"], ["c", "d"]], [["a"], ["b", "c"]]])
def test_lists_are_no_numbers(lists: list[list[Any]]) -> None:
    made = table([{"n": 1, "reasons": one} for one in lists], [{"n": 2}])
    assert made.numeric() == ["n"]
    assert list(made.rows()) == [[1, lists[0]], [1, lists[1]], [2, None]]


def test_nested_values_become_columns_of_their_own() -> None:
    made = table([{"n": 1}, {"n": 2, "health": {"score": 90, "parts": {"kl": 0.5}}}], [{"n": 3}])
    np.testing.assert_equal(made.column("health.score"), [np.nan, 90, np.nan])
    np.testing.assert_equal(made.column("health.parts.kl"), [np.nan, 0.5, np.nan])


def test_the_newest_records_are_kept_whole() -> None:
    made = table([{"n": n} for n in range(1500)], [{"n": 1500}])
    assert len(made.recent) == 1000
    assert made.recent[0] == {"n": 501}
    assert made.last == {"n": 1500}
    made.clear()
    assert (len(made), made.names(), made.last) == (0, [], {})
