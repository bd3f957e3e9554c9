"""TensorBoard as a view of the records; a failure is said once and never ends the run."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


class TensorBoardView:
    """Scalars into ``tensorboard/``, against environment steps."""

    def __init__(self, directory: Path, first_step: int) -> None:
        """Open an event file; what an earlier segment wrote beyond ``first_step`` is hidden."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only needed where the view is on

        self._writer: SummaryWriter | None = SummaryWriter(str(directory), purge_step=first_step + 1)

    def write(self, scalars: dict[str, float], step: int) -> None:
        """Add ``scalars`` at environment step ``step``."""
        if self._writer is None:
            return
        try:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, step)
        except Exception:  # a view may fail (disk, network file system); the records are elsewhere
            log.exception("TensorBoard is switched off for the rest of this run")
            self._writer = None

    def close(self) -> None:
        """Flush and close the event file."""
        if self._writer is not None:
            try:
                self._writer.close()
            except Exception:  # as above
                log.exception("the end of the TensorBoard file is lost")
            self._writer = None
