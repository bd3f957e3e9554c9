"""How a run of several processes ended: the first of them that knows why notes it in a file.

Exit codes of processes alone do not tell: when one fails, the others are killed or lose their connection, and whoever
started them sees the largest of many codes.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "F1RL_OUTCOME"
"""Names the file; set by whoever starts the processes and wants to know."""
_RANK = ("RANK", "SLURM_PROCID")
"""As elsewhere, the innermost launcher comes first."""


@dataclass(frozen=True)
class Noted:
    """What the first process that knew has noted."""

    code: int
    """Exit code of that process."""
    rank: int
    """Of that process among all of the run."""
    why: str
    """One line."""


def note_outcome(code: int, why: str) -> None:
    """Note that this process ends with ``code``, and why, unless another has noted something before.

    The file's first line is code and rank, so that a shell can read it too; the second is the first line of ``why``.
    It appears whole or not at all; where it cannot be written (the disk may be full), exit codes have to do.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    rank = next((os.environ[name] for name in _RANK if os.environ.get(name, "").isdigit()), "0")
    text = f"{code} {rank}\n{why.partition(chr(10))[0]}\n"
    own = Path(f"{path}.{socket.gethostname()}.{os.getpid()}")
    with suppress(OSError):
        own.write_text(text, encoding="utf-8", errors="replace")
        os.link(own, path)  # fails if there is one: the first that noted something is believed
    with suppress(OSError):
        own.unlink(missing_ok=True)


def read_outcome(path: Path) -> Noted | None:
    """Return what is noted in ``path``; None if every process ended well, or without a word."""
    if not path.exists():
        return None
    first, _, why = path.read_text(encoding="utf-8").partition("\n")
    code, rank = first.split()
    return Noted(int(code), int(rank), why.rstrip("\n"))
