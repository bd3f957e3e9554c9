"""The four clocks that every record carries."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Clocks:
    """How far a run is; counted over all ranks and all segments."""

    env_step: int = 0
    """Environment steps trained on."""
    decision_step: int = 0
    """Actions chosen (one action chunk is one decision)."""
    optimizer_step: int = 0
    """Parameter updates."""
    episode: int = 0
    """Episodes finished."""

    def as_dict(self) -> dict[str, int]:
        """Return the clocks as a plain dict."""
        return asdict(self)
