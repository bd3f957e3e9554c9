"""What the batch script of a job does before and after its training processes.

The script, and not a training process, puts the job back into the queue: it runs on the machine itself, where there is
a ``scontrol`` even if the training runs in a container without one, and it also learns of processes that were killed.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from f1rl.errors import Preempted
from f1rl.launch.outcome import VARIABLE

KILLED = 137
"""Exit code of a process that SIGKILL ended: the out-of-memory killer, or an administrator."""


_ID = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
"""A job's number as SLURM shows it, in the batch script: ``12``, or ``12_0`` in an array."""


def outcome_file(folder: Path | str, job: str) -> str:
    """Return where the processes of the job with SLURM's number ``job`` note why they end."""
    return f"{folder}/{job}.outcome"


def before(folder: Path, code: Path | None, setup: Sequence[str]) -> list[str]:
    """Return the lines before ``srun``.

    Args:
        folder: of the submission.
        code: to import the program from; None means the installed one.
        setup: the user's own lines.
    """
    lines = [
        "unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE GROUP_RANK MASTER_ADDR MASTER_PORT",
    ]
    if code is not None:
        lines.append(f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}")
    return [
        *lines,
        *setup,
        f"export {VARIABLE}={outcome_file(shlex.quote(str(folder)), _ID)}",  # of the training processes alone
        f'rm -f "${VARIABLE}"  # of this job\'s time before it was queued again',
    ]


def after(requeues: int) -> list[str]:
    """Return the lines after ``srun``, which end the job with the code of the rank that knows why it ended.

    Args:
        requeues: how often the job may be queued again.
    """
    return f"""\
code=$?
[ "$code" -eq 0 ] || [ ! -s "${VARIABLE}" ] || read -r code _ <"${VARIABLE}"
end() {{  # a code above 128 stands for a signal: SLURM's accounts, which keep the rest of it only, are told the signal
    [ "$code" -le 128 ] || kill -"$((code - 128))" $$
    exit "$code"
}}
case $code in
    {Preempted.exit_code}) why="made room, with its state saved" ;;
    {KILLED}) why="was killed" ;;
    *) end ;;
esac
if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {requeues} ]; then
    echo "f1rl: the job $why, and was queued again {requeues} times already (launcher.max_num_timeout)"
elif ! command -v scontrol >/dev/null; then
    echo "f1rl: the job $why, and there is no scontrol here to queue it again; submit it once more with resume=auto"
else
    echo "f1rl: the job $why; it is queued again"  # said before, because being queued again ends this script
    scontrol requeue "$SLURM_JOB_ID" || echo "f1rl: that failed; submit the job once more with resume=auto"
fi
end
""".splitlines()
