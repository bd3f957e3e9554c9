"""Values as people read them."""

from __future__ import annotations

from typing import Any


def number(value: float) -> str:
    """Return a number with four significant digits, without a power of ten where it is readable without one."""
    if value != value:
        return "n/a"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.4g}"


def printable(text: str) -> str:
    """Return ``text`` without what would move a terminal's cursor or change its colours."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def value_text(value: Any) -> str:
    """Return a value of a configuration on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {value_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value)) or "(empty)"
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if _is_simple(value) else str(value)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def config_groups(config: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]], bool]]:
    """Return a configuration as (title, rows, whether it is unfolded): its scalars first, then a part per group."""
    scalars = [(key, value_text(value)) for key, value in config.items() if not isinstance(value, dict)]
    groups = [("general", scalars, True)] if scalars else []
    for title, group in config.items():
        if isinstance(group, dict):
            rows = [(key, value_text(value)) for key, value in flatten(group).items()]
            groups.append((str(title), rows, title == "phase"))
    return groups


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, bool)
