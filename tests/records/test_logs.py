"""Messages of a run: what reaches the terminal, what the files, and what becomes of files that cannot be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from f1rl.records.logs import LogFile, start_logging

NAMES = ("", "f1rl_envs", "f1rl_envs.normalize")


class Terminal(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a terminal, and give the root logger back as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()  # pytest's own, which start_logging would close
    yield Terminal()
    for name in NAMES:
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if isinstance(one, LogFile | Terminal)]:
            logger.removeHandler(handler)
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def start(directory: Path, terminal: Terminal, file_level: str = "DEBUG") -> None:
    start_logging(directory, console=terminal, console_level="INFO", file_level=file_level, to_file=True)


def test_the_terminal_shows_what_matters_and_the_files_keep_the_rest(tmp_path: Path, terminal: Terminal) -> None:
    start(tmp_path, terminal)
    logging.getLogger("f1rl.phases").info("own")
    logging.getLogger("f1rl.phases").debug("detail")
    logging.getLogger("lightning.pytorch").warning("noise")
    logging.getLogger("f1rl_envs.normalize").info("bounds")
    assert terminal.lines == ["own", "bounds"]
    (main,), (env,), (normalizer,) = (tmp_path.glob(p) for p in ("rl_training_*.log", "env/*.log", "normalizer/*.log"))
    assert [line.split(": ")[1] for line in main.read_text().splitlines()] == ["own", "detail", "noise", "bounds"]
    assert env.read_text() == normalizer.read_text() == main.read_text().splitlines(keepends=True)[-1]


def test_a_full_disk_is_said_once(
    tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "strftime", lambda form, *when: "now")
    for path in ("rl_training_now.log", "env/f1_rl_env_now.log", "normalizer/normalizer_now.log"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).symlink_to("/dev/full")
    start(tmp_path, terminal)
    for count in range(3):
        logging.getLogger("f1rl_envs.normalize").info("message %d", count)
    refused = [line for line in terminal.lines if not line.startswith("message ")]
    (text,) = refused
    assert text.startswith("messages cannot be written below ")
    assert "No space left on device" in text
    assert len(terminal.lines) == 4
    start(tmp_path, Terminal())  # closes what cannot be flushed
    assert capsys.readouterr().err == ""


def test_a_mistake_in_a_message_is_still_shown(
    tmp_path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path, terminal)
    logging.getLogger().removeHandler(terminal)
    logging.getLogger("f1rl").info("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err
