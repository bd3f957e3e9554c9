"""Two nested structures compared key by key, for errors that show what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
