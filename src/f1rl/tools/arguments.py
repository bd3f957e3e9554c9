"""What the words of a command mean; a misused option is the program's own kind of error."""

from __future__ import annotations

import argparse
from typing import NoReturn

from f1rl.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Parser of the words after ``python -m f1rl COMMAND``."""

    def __init__(self, command: str, description: str) -> None:
        """Parse the words of ``command``."""
        super().__init__(prog=f"python -m f1rl {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message}; see {self.prog} --help")
