"""The three phases of a pipeline as three jobs in a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e_support import ADVERSARY, EXPLORER, TEACHER, Launcher
from slurm_support import accounts, ask, interrupt, job_ids, kill, misbehaving, short, wait_for_end

EXPLORERS = ("student", "adversarial")
WORDS = (
    "pipeline.dir=chain",
    *(f"teacher:{word}" for word in (*TEACHER, "phase.num_episodes=12")),
    *(f"{phase}:{word}" for phase in EXPLORERS for word in (*EXPLORER, "phase.num_episodes=4")),
    *(f"adversarial:{word}" for word in ADVERSARY),
)


@pytest.mark.slow
def test_the_phases_run_one_after_another_and_only_once(
    cluster: Path, launcher: Launcher, tokenizer_cache: Path
) -> None:
    """The first is killed meanwhile and queued again; those after it go on waiting."""
    words = short(tokenizer_cache, *WORDS, "teacher:name=killed")
    said = launcher.plain("submit", "pipeline", *words, env=misbehaving(launcher.directory))
    assert said.returncode == 0, said.stdout + said.stderr
    ids = job_ids(said.stdout)
    interrupt(ids[0], launcher.directory / "notes" / "killed", 1, kill)
    wait_for_end(*ids)
    rows = [ask("sacct", "-X", "-n", "-P", "-o", "Start,End,State", "-j", job).split("|") for job in ids]
    assert [state for *_, state in rows] == ["COMPLETED"] * 3
    moments = [moment for start, end, _ in rows for moment in (start, end)]
    assert moments == sorted(moments)

    chain = launcher.directory / "chain"
    identity = json.loads((chain / "pipeline.json").read_text())["id"]
    for place, phase in enumerate(("teacher", *EXPLORERS), 1):
        run = json.loads((chain / f"{phase}_rl" / "run.json").read_text())
        assert run["pipeline"] == {"id": identity, "directory": str(chain), "place": place}
        assert (run["status"], run["segment"]) == ("done", int(phase == "teacher"))

    again = launcher.plain("submit", "pipeline", *words, "launcher.timeout_min=20")
    assert again.stdout == "teacher: finished before\nstudent: finished before\nadversarial: finished before\n"
    here = launcher.plain("pipeline", *words)
    assert here.returncode == 0, here.stderr
    assert f"pipeline {identity} in chain/" in here.stdout
    assert here.stdout.count("finished before") == 3


@pytest.mark.slow
def test_the_phases_after_one_that_fails_are_cancelled(
    cluster: Path, launcher: Launcher, tokenizer_cache: Path
) -> None:
    words = short(tokenizer_cache, *WORDS, "teacher:name=config")
    said = launcher.plain("submit", "--wait", "pipeline", *words, env=misbehaving(launcher.directory))
    assert said.returncode == 3, said.stdout + said.stderr
    states = [accounts(job)[job] for job in job_ids(said.stdout)]
    assert states == [("FAILED", "3:0"), ("CANCELLED", "0:0"), ("CANCELLED", "0:0")]
    assert "this configuration is wrong" in said.stderr
    assert [path.name for path in (launcher.directory / "chain").iterdir()] == ["pipeline.json"]
