"""Two nested structures compared key by key, for errors that show what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INCIDENTAL = (
    "name", "tags", "output_dir", "resume", "overwrite", "launcher", "logger", "logging",
    "rollout.record", "rollout.num_workers", "rollout.slots_per_worker", "rollout.start_timeout",
    "rollout.step_timeout", "rollout.max_restarts",
    "trainer.cpu_threads", "trainer.detect_anomaly", "trainer.profiler",
    "phase.save_every", "phase.keep_checkpoints", "phase.log_every", "phase.sample_every", "phase.video_every",
    "phase.val_every", "phase.tokenizer.cache_dir",
    "model.activation_checkpointing", "model.prefix_cache", "model.compile",
)  # fmt: skip
"""Keys and sections that change what is written and how fast a run is, not what is learned."""


def is_among(key: str, names: tuple[str, ...]) -> bool:
    """Return whether a dotted key is one of ``names``, or lies in a section that is."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one with dotted keys; tuples become lists, as JSON has them."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ, sorted, with both values; an absent key has the value None."""
    old, new = flatten(before), flatten(now)
    return {
        key: (old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }


def table(differing: Mapping[str, tuple[Any, Any]], before: str, now: str) -> str:
    """Return one line per key: ``key: 1 <before>, 2 <now>``."""
    return "\n".join(f"  {key}: {old} {before}, {new} {now}" for key, (old, new) in differing.items())
