"""Reads the comments above the keys of the files under conf/."""

from __future__ import annotations

import re
from collections.abc import Iterator


def commented_keys(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the section, the name and the comment above each key of a file that fills the section ``path``."""
    trail, comment = [path], ""
    for line in text.splitlines():
        if match := re.match(r"( *)(\w+):(.*)", line):
            depth = len(match[1]) // 2
            trail[depth + 1 :] = [f"{trail[depth]}.{match[2]}"]
            yield trail[depth], match[2], comment
        comment = line.strip().removeprefix("# ")
