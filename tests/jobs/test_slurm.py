"""What SLURM is asked for, without a cluster: the text of a submission, and the code that its jobs will run."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from f1rl import cli
from f1rl.config.compose import compose
from f1rl.errors import ConfigError, EnvironmentFailure
from f1rl.jobs import waiting
from f1rl.jobs.batch_script import after
from f1rl.jobs.job import Job
from f1rl.jobs.slurm import Submission, Submitted, _no_outer_job
from f1rl.jobs.snapshot import take_snapshot
from f1rl.jobs.states import JobState
from f1rl.launch.outcome import Noted, read_outcome
from f1rl.pipeline import open_pipeline
from f1rl.typed import to_tree

CLUSTER = (
    "env=toy", "trainer=ddp", "trainer.num_nodes=3", "phase.num_episodes=48", "launcher.partition=gpu",
    "launcher.account=lab", "launcher.gpus_per_node=2", "launcher.cpus_per_task=4", "launcher.mem_gb=32",
    "launcher.timeout_min=90", "launcher.signal_delay_s=60", "launcher.options=['exclude=node3',exclusive]",
    "launcher.setup=[module load cuda]", "launcher.python='apptainer exec f1rl.sif python'",
)  # fmt: skip


def submission(tmp_path: Path, *overrides: str, count: int = 1, **more: object) -> Submission:
    config = compose(overrides)
    jobs = [Job(f"job{number}", to_tree(config)) for number in range(count)]
    return Submission(jobs, config, tmp_path / "sweep" / "jobs", **more)


def test_the_facts_of_the_cluster_reach_sbatch(tmp_path: Path) -> None:
    text = submission(tmp_path, *CLUSTER, after_ok=["7"]).text()
    for option in (
        "partition=gpu", "account=lab", "gpus-per-node=2", "cpus-per-task=4", "mem=32GB", "time=90", "nodes=3",
        "ntasks-per-node=2", "signal=USR2@60", "exclude=node3", "exclusive", "requeue", "dependency=afterok:7",
    ):  # fmt: skip
        assert f"#SBATCH --{option}\n" in text
    assert "\nmodule load cuda\n" in text
    assert "--cpus-per-task=4 --task-prolog=" in text
    assert " apptainer exec f1rl.sif python -u -m " in text
    assert "--array" not in text


def test_several_jobs_are_an_array_with_a_bound(tmp_path: Path) -> None:
    text = submission(tmp_path, "env=toy", "launcher.array_parallelism=2", count=4).text()
    assert "#SBATCH --array=0-3%2\n" in text
    assert not (tmp_path / "sweep").exists()  # only shown


def test_devices_must_be_counted_before_the_job_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices=auto cannot be counted"):
        submission(tmp_path, "env=toy", "trainer.devices=auto")


def test_an_array_gives_all_jobs_the_same(tmp_path: Path) -> None:
    configs = [compose(["env=toy", f"launcher.mem_gb={size}"]) for size in (8, 16)]
    jobs = [Job(str(number), to_tree(config)) for number, config in enumerate(configs)]
    with pytest.raises(ConfigError, match="jobs get equal resources"):
        Submission(jobs, configs[0], tmp_path)


def test_without_slurm_nothing_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match=r"SLURM does not take the job: .*sbatch"):
        submission(tmp_path, "env=toy", "launcher.snapshot=false").submit()


def test_an_outer_jobs_variables_are_hidden_from_sbatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SLURM_CONF", "/cluster/slurm.conf")
    with _no_outer_job():
        assert "SLURM_MEM_PER_CPU" not in os.environ
        assert os.environ["SLURM_CONF"] == "/cluster/slurm.conf"
    assert os.environ["SLURM_MEM_PER_CPU"] == "100"


@pytest.mark.parametrize(
    ("srun", "noted", "restarts", "code", "said"),
    [
        (0, "", 0, 0, ""),
        (0, "4 0", 0, 0, ""),  # a rank failed to say that it ended well; srun knows better
        (3, "3 0", 0, 3, ""),
        (130, "130 0", 0, -2, ""),
        (143, "75 1", 0, 75, "made room, with its state saved; it is queued again requeue 7"),
        (137, "", 1, -9, "was killed; it is queued again requeue 7"),
        (137, "1 1", 0, 1, ""),  # killed because another rank failed, which has said so
        (75, "75 0", 2, 75, "made room, with its state saved, and was queued again 2 times already"),
    ],
)
def test_the_batch_script_ends_as_the_run_did(
    tmp_path: Path, srun: int, noted: str, restarts: int, code: int, said: str
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\necho "$@"\n')
    scontrol.chmod(0o755)
    (tmp_path / "outcome").write_text(noted and f"{noted}\nit went wrong\n")
    script = "\n".join([f"(exit {srun})", *after(2)])
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "F1RL_OUTCOME": str(tmp_path / "outcome"), "SLURM_JOB_ID": "7"}
    env["SLURM_RESTART_COUNT"] = str(restarts)
    # Tests that run in the background have SIGINT ignored, which a shell cannot undo for itself; SLURM's jobs have not.
    command = ["env", "--default-signal=INT", "bash", "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    words = done.stdout.replace("f1rl: the job ", "").split()
    assert " ".join(words).startswith(said)
    assert bool(words) == bool(said)


def test_the_batch_script_says_that_slurm_refuses(tmp_path: Path) -> None:
    (tmp_path / "scontrol").symlink_to("/bin/false")
    script = "\n".join([f"PATH={tmp_path}", "(exit 75)", *after(2)])
    done = subprocess.run(["/bin/bash", "-c", script], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert done.stdout.endswith("f1rl: that failed; submit the job once more with resume=auto\n")


def test_the_batch_script_does_without_scontrol(tmp_path: Path) -> None:
    script = "\n".join(["PATH=/nowhere", "(exit 75)", *after(2)])
    done = subprocess.run(["bash", "-c", script], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert "there is no scontrol here to queue it again; submit it once more with resume=auto" in done.stdout


def test_a_restart_of_slurm_does_not_end_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = JobState("COMPLETED", 0, 5.0)
    answers = iter([EnvironmentFailure("SLURM is down"), {}, EnvironmentFailure("SLURM is down"), {"7": ended}])

    def answer(ids: object) -> dict[str, JobState]:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(waiting, "ask", answer)
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)
    job = Job("mine", {"output_dir": str(tmp_path)})
    (outcome,) = waiting.wait_for([Submitted(job, "7", tmp_path)])
    assert (outcome.state, outcome.log) == ("COMPLETED", tmp_path / "7_0_log.out")
    answers = itertools.repeat(EnvironmentFailure("SLURM is down"))
    with pytest.raises(EnvironmentFailure, match="SLURM is down"):
        list(waiting.wait_for([Submitted(job, "7", tmp_path)]))


def test_a_warning_while_a_job_starts_ends_it_to_be_queued_again(tmp_path: Path) -> None:
    program = (
        "import os, signal; from f1rl.jobs import task;"
        "task.main = lambda words: os.kill(os.getpid(), signal.SIGUSR2); task.RunTask('config.yaml')()"
    )
    env = {**os.environ, "F1RL_OUTCOME": str(tmp_path / "outcome")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 75
    why = "stopped by SIGUSR2 while starting; nothing had to be saved"
    assert done.stderr == f"f1rl: {why}\n"
    assert read_outcome(tmp_path / "outcome") == Noted(75, 0, why)


def test_a_submitted_job_runs_the_code_of_its_submission(tmp_path: Path) -> None:
    source = take_snapshot(tmp_path / "code")
    program = (
        "import f1rl, f1rl_envs, json; from f1rl.config.compose import compose, conf_dir; compose(['env=toy']);"
        "from f1rl.records.run_file import git_state; from pathlib import Path;"
        "print(json.dumps([f1rl.__file__, f1rl_envs.__file__, str(conf_dir()), git_state(Path(f1rl.__file__).parent)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True, text=True,
        check=True, cwd=tmp_path,
    )  # fmt: skip
    *paths, git = json.loads(done.stdout)
    assert all(Path(path).is_relative_to(tmp_path / "code") for path in paths)
    assert git == json.loads((source / "f1rl" / "snapshot.json").read_text())["git"]


def test_a_dry_run_shows_the_text_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["submit", "env=toy", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("#!/bin/bash\n")
    assert cli.main(["submit", "-m", "env=toy", "sweep=seeds", "hydra.sweep.dir=five", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --array=0-4%5\n" in said
    assert f"#SBATCH --output={tmp_path}/five/jobs/" in said
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_is_submitted_as_far_as_it_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["submit", "pipeline", "env=toy", "student:launcher.mem_gb=9", "pipeline.dir=chain", "--dry-run"]
    assert cli.main(words) == 0
    chain = re.findall(r"--(?:job-name|dependency|mem)=(.*)", capsys.readouterr().out)
    assert sorted(chain[:1]) == ["teacher-toy-s0"]
    assert sorted(chain[1:4]) == ["'afterok:<teacher>'", "9GB", "student-toy-s0"]
    assert sorted(chain[4:]) == ["'afterok:<student>'", "adversarial-toy-s0"]
    assert list(tmp_path.iterdir()) == []

    open_pipeline(Path("chain"), ["env=toy", "student:launcher.mem_gb=2"])
    (tmp_path / "chain" / "teacher_rl").mkdir()
    (tmp_path / "chain" / "teacher_rl" / "run.json").write_text('{"status": "done"}')
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("teacher: finished before\n")
    assert sorted(re.findall(r"--(?:job-name|dependency)=(.*)", said)) == [
        "'afterok:<student>'", "adversarial-toy-s0", "student-toy-s0",
    ]  # fmt: skip
    assert cli.main([*words, "seed=1"]) == 3
    assert "chain holds a pipeline of other words" in capsys.readouterr().err


def test_the_commands_of_the_page_are_understood(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repository / "docs" / "slurm.md").read_text().replace("\\\n", " ").replace(" launcher=a100", "")
    commands = re.findall(r"^ *python -m f1rl (?:submit|-m) [^#\n&]*", page, re.MULTILINE)
    assert len(commands) >= 5
    monkeypatch.chdir(tmp_path)
    for command in commands:
        words = [word for word in shlex.split(command)[3:] if word not in ("submit", "--dry-run", "--wait")]
        assert cli.main(["submit", *words, "--dry-run"]) == 0, command
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--dryrun"], 2, "did you mean '--dry-run'?"),
        (["pipeline", "-m"], 2, "cannot be swept"),
        (["pipeline", "output_dir=x"], 2, "it decides output_dir itself"),
        (["pipeline", "env=toy", "adversarial:trainer.devices=auto"], 3, "cannot be counted before the job runs"),
        (["seed=1,2"], 2, "add -m to start them all"),
        (["-m", "sweep=search"], 2, "give --wait, too"),
        (["-m", "seed=1,2", "output_dir=x", "--dry-run"], 2, "name the directory of all of them"),
        (["phase=student", "env=toy", "trainer=ddp"], 3, "phase=student trains in one process"),
        (["env=maniskill", "trainer=ddp"], 3, "env=maniskill needs trainer.devices=1"),
        (["phase.lr=1"], 3, "did you mean phase.learning_rate?"),
    ],
)
def test_mistakes_are_told_before_anything_is_submitted(
    words: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["submit", *words]) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_the_way_is_told_at_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    assert cli.main(["submit", "env=toy", "output_dir=old", "--dry-run"]) == 3
    assert "old holds a run already" in capsys.readouterr().err
