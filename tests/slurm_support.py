"""What the tests on a real SLURM cluster share: its start, questions to it, and jobs that misbehave on purpose."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from e2e_support import DEADLINE, SHORT, lines

LIMITS = ("launcher.timeout_min=15", "launcher.cpus_per_task=1", "launcher.mem_gb=4", "logger=none")

# Python imports sitecustomize in every process: like this a job does what $MISBEHAVE says, or what its own name says.
MISBEHAVE = '''
import os, pathlib, time

HELD = {"by_hand": 1, "killed": 1, "out_of_time": 1, "two_ranks": 3}
"""How often a job is started only to stop in the middle of its training, so that there is time to interrupt it."""

def hold(batches, note=None):
    """Stop training after some batches; with a file to note this process in, go on at a signal."""
    from f1rl.launch import training
    import lightning
    class Hold(lightning.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            (checkpoints,) = [each for each in trainer.callbacks if hasattr(each, "_stop_requested")]
            deadline = time.monotonic() + (900 if index >= batches else 0)
            while time.monotonic() < deadline and not (note and checkpoints._stop_requested()):
                if note and not note.exists():
                    note.write_text(f"{os.getpid()}\\n")
                time.sleep(0.1)
    fit = training._fit
    training._fit = lambda *arguments: fit(*arguments[:-1], [Hold(), *arguments[-1]])

def behave(how):
    from f1rl import errors
    rank, start = os.environ["SLURM_PROCID"], int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    if how == "config":
        raise errors.ConfigError("this configuration is wrong")
    if how == "second" and rank == "1":
        raise ValueError("a fault in the second rank")
    if start < HELD.get(how, 0):
        hold(5 if start else 9, pathlib.Path(os.environ["NOTES"]) / f"{how}.{start}.{rank}")
    if how in ("late", "cancelled"):
        hold(0)

if "SLURM_STEP_ID" in os.environ:
    import f1rl.launch.run as launch
    train = launch.run
    def run(cfg):
        behave(os.environ.get("MISBEHAVE", cfg.name))
        return train(cfg)
    launch.run = run
'''


def misbehaving(folder: Path, how: str | None = None) -> dict[str, str]:
    """Return variables with which jobs are submitted that do ``how``, or what their ``name`` says.

    A process that holds on until it is interrupted notes its number in ``folder/notes/NAME.START.RANK``.
    """
    (folder / "notes").mkdir()
    (folder / "sitecustomize.py").write_text(MISBEHAVE)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path, "NOTES": str(folder / "notes")} | ({} if how is None else {"MISBEHAVE": how})


def short(cache: Path, *overrides: str) -> list[str]:
    """Return the words of the short preset for a job of one minute's work and little memory."""
    return [*SHORT, f"phase.tokenizer.cache_dir={cache}", *LIMITS, *overrides]


def from_a_terminal(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    """Run a command in a terminal, close the terminal and kill its shell at once, and return what was said."""
    terminal, side = pty.openpty()
    script = f"{shlex.join(command)}; echo returned $?; sleep {DEADLINE}"
    shell = subprocess.Popen(
        ["bash", "-c", script], stdin=side, stdout=side, stderr=side, cwd=folder, env=env, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # the session's own: closing it hangs up on all in it
    )  # fmt: skip
    os.close(side)
    said = ""
    while not re.search(r"^returned \d+\r$", said, re.MULTILINE):
        said += os.read(terminal, 2**16).decode()
    os.close(terminal)
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    assert shell.wait() in (-signal.SIGHUP, -signal.SIGKILL)
    assert "returned 0\r" in said, said
    return said.replace("\r\n", "\n")


def job_ids(said: str) -> list[str]:
    """Return the numbers that ``python -m f1rl submit`` printed."""
    return [line.split()[2].rstrip(":") for line in said.splitlines() if line.startswith("SLURM job ")]


def ask(*command: str) -> str:
    """Return what a command of SLURM answers."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def accounts(job: str) -> dict[str, tuple[str, str]]:
    """Return state and exit code of a job, or of each task of an array, by sacct."""
    table = ask("sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode", "-j", job)
    rows = (line.split("|") for line in table.splitlines())
    return {name: (state.split()[0], code) for name, state, code in rows}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for ``condition``, long enough for a busy machine."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}; {ask('squeue')}"
        time.sleep(0.5)


def wait_for_end(*jobs: str) -> None:
    """Wait until SLURM's accounts have the end of every job."""
    going = ("PENDING", "RUNNING", "REQUEUED", "COMPLETING")
    wait_until(
        lambda: all(states and all(s not in going for s, _ in states.values()) for states in map(accounts, jobs)),
        f"the end of {', '.join(jobs)}",
    )


def interrupt(job: str, held: Path, ranks: int, *ways: Callable[[str, int], None]) -> None:
    """Interrupt a job whenever its processes have noted themselves as ``held.START.RANK``, each time in another way.

    A way is given the job and the number of its last rank's process.
    """
    for start, way in enumerate(ways):
        notes = [held.with_suffix(f".{start}.{rank}") for rank in range(ranks)]
        wait_until(lambda: all(map(lines, notes)), f"start {start} of {held.name}")  # noqa: B023  # called at once
        way(job, int(notes[-1].read_text()))
        again = f"Restarts={start + 1} "
        wait_until(lambda: again in ask("scontrol", "show", "job", job), again)  # noqa: B023
        ask("scontrol", "update", f"jobid={job}", "timelimit=15")


def kill(job: str, process: int) -> None:
    """Kill the training process of a job, as the kernel does when memory runs out."""
    os.kill(process, signal.SIGKILL)
