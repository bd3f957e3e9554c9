"""How a run of several processes ended: the first of them that knows why writes its exit code to a file.

Exit codes of processes alone do not tell: when one fails, the others are killed or lose their connection, and whoever
started them sees the largest of many codes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

VARIABLE = "F1RL_OUTCOME"
"""Names the file; set by whoever starts the processes and wants to know."""


def note_outcome(code: int) -> None:
    """Note that this process ends with ``code``, unless another has noted something before."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    with suppress(FileExistsError), Path(path).open("x") as file:
        file.write(str(code))


def read_outcome(path: Path) -> int | None:
    """Return the exit code noted in ``path``; None if every process ended well, or without a word."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text else None
