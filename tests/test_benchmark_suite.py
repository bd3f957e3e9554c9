"""The listed benchmarks exist, and those that only a GPU can run ask for configurations that there are."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from benchmarks import full_size
from benchmarks.__main__ import GPU, LONG, SUITE

from f1rl.config.check import find_contradictions
from f1rl.config.compose import compose

STUDENTS = [words for _, words in GPU if words[0] == "student_speed"]
WHOLE_RUNS = [
    line.replace("python -m f1rl", "").split()
    for line in full_size.__doc__.replace("\\\n", " ").splitlines()
    if "python -m f1rl" in line
]


@pytest.mark.parametrize("words", [words for _, words in (*SUITE, *LONG, *GPU)], ids=" ".join)
def test_there_is_a_module_of_that_name(words: tuple[str, ...]) -> None:
    assert find_spec(f"benchmarks.{words[0]}") is not None


@pytest.mark.parametrize("overrides", [("phase=student", *words[3:]) for words in STUDENTS] + WHOLE_RUNS)
def test_the_runs_that_they_start_are_configurations(overrides: tuple[str, ...]) -> None:
    assert find_contradictions(compose(["env=franka", *overrides])) == []


def test_all_of_them_are_found() -> None:
    assert (len(STUDENTS), len(WHOLE_RUNS)) == (2, 3)
