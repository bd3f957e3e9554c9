"""The three phases in a chain: stopped in the middle, continued, and equal to the phases run one by one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import torch

from e2e_support import ADVERSARY, DEADLINE, EXPLORER, TEACHER, Launcher, lines, metrics, validations, wait_until

NEWEST = {"teacher": 24, "student": 16, "adversarial": 16}
WORDS = (
    "pipeline.dir=chain",
    *(f"teacher:{word}" for word in TEACHER),
    *(f"{phase}:{word}" for phase in ("student", "adversarial") for word in EXPLORER),
    *(f"adversarial:{word}" for word in ADVERSARY),
)


def about(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def test_a_stopped_pipeline_goes_on_and_equals_the_phases_one_by_one(lineage: Path, launcher: Launcher) -> None:
    chain = launcher.directory / "chain"
    process = launcher.start(*WORDS, command="pipeline")
    wait_until(lambda: lines(chain / "student_rl" / "episode_metrics.jsonl") >= 8, process)
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, said
    assert "stopped with exit code 130. Go on with python -m f1rl pipeline" in said
    assert about(chain / "student_rl")["status"] == "interrupted"
    assert not (chain / "adversarial_rl").exists()
    teacher_seen = about(chain / "teacher_rl")["updated"]

    resumed = launcher.plain(*launcher.command(*WORDS, name="pipeline")[3:])
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "1/3 teacher: finished before" in resumed.stdout
    assert about(chain / "teacher_rl")["updated"] == teacher_seen
    assert [about(chain / f"{phase}_rl")["segment"] for phase in NEWEST] == [0, 1, 0]
    identity = json.loads((chain / "pipeline.json").read_text())["id"]
    for place, (phase, episode) in enumerate(NEWEST.items(), 1):
        run, alone = chain / f"{phase}_rl", lineage / "outputs" / f"{phase}_rl"
        assert about(run)["pipeline"] == {"id": identity, "directory": str(chain), "place": place}
        assert metrics(run) == metrics(alone)
        assert validations(run) == validations(alone)
        weights = [torch.load(path / f"checkpoint-{episode}" / "model.pt", weights_only=True) for path in (run, alone)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])

    again = launcher.plain(*launcher.command(*WORDS, name="pipeline")[3:])
    assert again.returncode == 0
    assert again.stdout.count("finished before") == 3
    assert "[/]" not in again.stdout  # the table's markup is drawn, and not shown


def test_a_failing_phase_ends_the_pipeline_with_its_exit_code(launcher: Launcher) -> None:
    missing = ("teacher:rollout=offline", "teacher:rollout.datasets=[nowhere]")
    result = launcher.plain(*launcher.command("pipeline.dir=chain", *missing, name="pipeline")[3:])
    assert result.returncode == 3, result.stdout + result.stderr
    assert "nowhere" in result.stderr
    assert "stopped with exit code 3" in result.stderr


def test_ctrl_c_reaches_the_phase_once(launcher: Launcher) -> None:
    """From the terminal a signal comes to the whole process group of the pipeline."""
    process = launcher.start("pipeline.dir=chain", "phase.num_episodes=400", command="pipeline")
    records = launcher.directory / "chain" / "teacher_rl" / "episode_metrics.jsonl"
    wait_until(lambda: lines(records) >= 2, process)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, said
    assert "the state is saved" in said
    assert list((launcher.directory / "chain" / "teacher_rl").glob("checkpoint-*"))


def test_a_phase_saves_its_state_when_the_pipeline_is_killed(launcher: Launcher) -> None:
    process = launcher.start("pipeline.dir=chain", "phase.num_episodes=400", command="pipeline")
    run = launcher.directory / "chain" / "teacher_rl"
    wait_until(lambda: lines(run / "episode_metrics.jsonl") >= 2, process)
    process.kill()
    process.communicate(timeout=DEADLINE)  # until the phase, which has its output too, has ended
    assert about(run)["status"] == "interrupted"
    assert list(run.glob("checkpoint-*"))
