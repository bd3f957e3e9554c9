"""Messages: the terminal shows what matters, ``logs/`` keeps the rest."""

from __future__ import annotations

import logging
import time
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"
_OWN = ("f1rl", "f1rl_envs")
# These print to the terminal by themselves unless their handlers are taken away.
_PRINTING = ("lightning", "lightning.pytorch", "lightning.fabric", "transformers", "torchmetrics", "mani_skill")
_THIRD_PARTY_ON_CONSOLE = logging.ERROR  # kept in the files at every level


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
    stamp = time.strftime("%Y%m%d_%H%M%S")
    (directory / "training").mkdir(parents=True, exist_ok=True)
    _add_file(root, directory / f"rl_training_{stamp}.log", file_level)
    _add_file(logging.getLogger("f1rl_envs"), directory / "env" / f"f1_rl_env_{stamp}.log", file_level)
    normalizer = logging.getLogger("f1rl_envs.normalize")
    _add_file(normalizer, directory / "normalizer" / f"normalizer_{stamp}.log", file_level)


def _add_file(logger: logging.Logger, path: Path, level: str) -> None:
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
            handler.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)


def _is_own_or_severe(record: logging.LogRecord) -> bool:
    own = record.name.split(".")[0] in _OWN
    return own or record.levelno >= _THIRD_PARTY_ON_CONSOLE
