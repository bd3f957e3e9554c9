"""Messages: the terminal shows what matters, ``logs/`` keeps the rest."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_OWN = ("f1rl", "f1rl_envs")
# These print to the terminal by themselves unless their handlers are taken away.
_PRINTING = ("lightning", "lightning.pytorch", "lightning.fabric", "transformers", "torchmetrics", "mani_skill")
_THIRD_PARTY_ON_CONSOLE = logging.ERROR  # kept in the files at every level

log = logging.getLogger(__name__)


class LogFile(logging.FileHandler):
    """A file of messages. One that cannot be written ends nothing: that is said once, and each message tries again."""

    def __init__(self, path: Path, level: str, said: threading.Event) -> None:
        """Append messages from ``level`` on to ``path``; the first of the files that share ``said`` to fail sets it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self.setLevel(level)
        self.setFormatter(logging.Formatter(_FORMAT))
        self._said = said

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Say why the file cannot be written; Python's own traceback would come with every message."""
        error = sys.exception()
        if not isinstance(error, OSError):  # a message that cannot be formatted: a mistake in the program
            super().handleError(record)
        elif not self._said.is_set():
            self._said.set()
            folder = Path(self.baseFilename).parent
            log.warning("messages cannot be written below %s (%s); some will be missing there", folder, error.strerror)

    def close(self) -> None:
        """Close the file; what it did not take until now is lost, as was said."""
        with suppress(OSError):
            super().close()


def start_logging(
    directory: Path, *, console: logging.Handler, console_level: str, file_level: str, to_file: bool
) -> None:
    """Send messages to ``console`` and to files below ``directory``.

    The main file is ``rl_training_YYYYMMDD_HHMMSS.log``; messages of the environments also go to ``env/``, those of the
    normalisers to ``normalizer/``.

    Args:
        directory: the run's ``logs/``.
        console: handler of the terminal.
        console_level: least severe message shown there.
        file_level: least severe message written.
        to_file: write files at all.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG)
    console.setLevel(console_level)
    console.addFilter(_is_own_or_severe)
    root.addHandler(console)
    logging.captureWarnings(capture=True)
    for noisy in ("PIL", "matplotlib", "fsspec", "urllib3", "numba", "jax"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name in _PRINTING:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    if not to_file:
        return
    stamp, said = time.strftime("%Y%m%d_%H%M%S"), threading.Event()
    (directory / "training").mkdir(parents=True, exist_ok=True)
    files = {
        "": directory / f"rl_training_{stamp}.log",
        "f1rl_envs": directory / "env" / f"f1_rl_env_{stamp}.log",
        "f1rl_envs.normalize": directory / "normalizer" / f"normalizer_{stamp}.log",
    }
    for name, path in files.items():
        _exchange_file(logging.getLogger(name), LogFile(path, file_level, said))


def _exchange_file(logger: logging.Logger, file: LogFile) -> None:
    for handler in list(logger.handlers):
        if isinstance(handler, LogFile):  # of an earlier run in this process
            logger.removeHandler(handler)
            handler.close()
    logger.addHandler(file)


def _is_own_or_severe(record: logging.LogRecord) -> bool:
    own = record.name.split(".")[0] in _OWN
    return own or record.levelno >= _THIRD_PARTY_ON_CONSOLE
