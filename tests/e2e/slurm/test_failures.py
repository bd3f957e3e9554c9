"""Every way to fail is reported as what it is: by SLURM's accounts, exit codes, tables and logs."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import pytest

from e2e_support import DEADLINE, Launcher
from slurm_support import accounts, ask, job_ids, misbehaving, short, wait_until


@pytest.fixture(scope="module")
def sweep(cluster: Path, tmp_path_factory: pytest.TempPathFactory, tokenizer_cache: Path, finished: Path) -> tuple:
    """Run a sweep whose jobs fail in different ways; return its directory, its exit code and what it said."""
    folder = tmp_path_factory.mktemp("failures")
    launcher = Launcher(folder, tokenizer_cache)
    words = short(
        tokenizer_cache, "name=fine,config,late,cancelled", "hydra/launcher=f1rl_slurm", "hydra.sweep.dir=sweep",
        "launcher.signal_delay_s=0", "launcher.array_parallelism=4", "hydra.sweep.subdir='${hydra:job.num}'",
    )  # fmt: skip
    command = [*launcher.command()[:3], "-m", *words]
    env = {**os.environ, **misbehaving(folder)}
    process = subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number in (2, 3):
        wait_until((folder / "sweep" / str(number) / "run.json").exists, "the jobs that do not end by themselves")
    ask("scancel", f"{_array(folder)}_3")
    ask("scontrol", "update", f"jobid={_array(folder)}_2", "timelimit=1")
    said, errors = process.communicate(timeout=DEADLINE)
    return folder / "sweep", process.returncode, said + errors


def _array(folder: Path) -> str:
    """Return the number of the array that the sweep submitted."""
    (script,) = (folder / "sweep" / "jobs").glob("*_submission.sh")
    return script.name.partition("_")[0]


@pytest.mark.slow
def test_the_accounts_tell_the_truth(sweep: tuple) -> None:
    array = _array(sweep[0].parent)
    assert accounts(array) == {
        f"{array}_0": ("COMPLETED", "0:0"),
        f"{array}_1": ("FAILED", "3:0"),
        f"{array}_2": ("TIMEOUT", "0:0"),
        f"{array}_3": ("CANCELLED", "0:0"),
    }


@pytest.mark.slow
def test_the_sweep_ends_with_the_code_of_the_first_failure(sweep: tuple) -> None:
    _, code, said = sweep
    assert code == 3, said
    assert "f1rl: job 1: FAILED: this configuration is wrong; see " in said


@pytest.mark.slow
def test_the_table_tells_the_truth(sweep: tuple) -> None:
    folder, _, said = sweep
    with (folder / "summary.csv").open() as file:
        rows = {row["job"]: row for row in csv.DictReader(file)}
    states = {name: row["state"] for name, row in rows.items()}
    assert states == {"0": "COMPLETED", "1": "FAILED", "2": "TIMEOUT", "3": "CANCELLED"}
    assert rows["1"]["exit_code"] == "3"
    assert rows["1"]["reason"] == "this configuration is wrong"
    assert float(rows["0"]["val_loss"]) > 0
    for name, state in states.items():
        assert f"f1rl: {name}  {state}" in said
    assert "1 of 4 jobs completed" in (folder / "summary.html").read_text()


@pytest.mark.slow
def test_a_fault_of_the_second_rank_is_the_fault_of_the_job(
    cluster: Path, launcher: Launcher, tokenizer_cache: Path
) -> None:
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1", "output_dir=broken")
    env = misbehaving(launcher.directory, "second")
    said = launcher.plain("submit", "--wait", *short(tokenizer_cache, *ranks), env=env)
    assert said.returncode == 1, said.stdout + said.stderr
    (job,) = job_ids(said.stdout)
    assert accounts(job) == {job: ("FAILED", "1:0")}
    (log,) = (launcher.directory / "slurm").glob(f"*/{job}_1_log.out")
    assert f"job {job}: FAILED: ValueError: a fault in the second rank; see {log}" in said.stderr
    assert "ValueError: a fault in the second rank" in log.read_text()
    assert f'{log.parent}/code/src/f1rl/cli.py", line' in log.read_text()  # the code as it was when submitted


@pytest.mark.slow
def test_a_sweep_names_the_log_of_the_rank_that_failed(
    cluster: Path, launcher: Launcher, tokenizer_cache: Path
) -> None:
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.cpu_threads=1")
    words = short(tokenizer_cache, *ranks, "seed=1,2", "hydra/launcher=f1rl_slurm", "hydra.sweep.dir=sweep")
    said = launcher.plain("-m", *words, env=misbehaving(launcher.directory, "second"))
    assert said.returncode == 1, said.stdout + said.stderr
    with (launcher.directory / "sweep" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        assert (row["state"], row["exit_code"]) == ("FAILED", "1")
        assert row["reason"] == "ValueError: a fault in the second rank"
        assert row["log"] == f"jobs/{row['slurm_id']}_1_log.out"
        assert "ValueError: a fault in the second rank" in (launcher.directory / "sweep" / row["log"]).read_text()
        assert f"log: {launcher.directory / 'sweep' / row['log']}" in said.stderr


@pytest.mark.slow
def test_a_sweep_ends_when_its_array_is_cancelled(cluster: Path, launcher: Launcher, tokenizer_cache: Path) -> None:
    """SLURM shows the tasks that were still waiting as one."""
    words = short(
        tokenizer_cache, "name=cancelled", "seed=1,2,3", "hydra/launcher=f1rl_slurm", "hydra.sweep.dir=sweep",
        "hydra.sweep.subdir='${hydra:job.num}'", "launcher.array_parallelism=1",
    )  # fmt: skip
    folder, env = launcher.directory, {**os.environ, **misbehaving(launcher.directory)}
    command = [*launcher.command()[:3], "-m", *words]
    process = subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until((folder / "sweep" / "0" / "run.json").exists, "the first task")
    ask("scancel", _array(folder))
    said, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4, said + errors
    with (folder / "sweep" / "summary.csv").open() as file:
        states = {row["job"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"0": "CANCELLED", "1": "CANCELLED", "2": "CANCELLED"}
