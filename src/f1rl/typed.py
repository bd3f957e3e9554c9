"""Strict conversion of plain trees (YAML, JSON) to dataclasses, and back.

A structured Hydra schema is not enough: keys added with ``+`` pass it and are silently ignored. Here every key is
either in the schema or an error with the nearest key that is, and all problems of a tree are found in one pass.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")

MISSING = "???"
"""What OmegaConf writes for a value that somebody must still give."""


def from_tree(schema: type[T], tree: Mapping[str, Any], problems: list[str]) -> T | None:
    """Build ``schema`` from a plain tree.

    Args:
        schema: a dataclass whose fields are scalars, ``Literal``s, tuples, dataclasses or unions of these.
        tree: nested mappings with string keys.
        problems: receives one sentence per unknown key, missing key and wrong type, each with its dotted path.

    Returns:
        The object, or None if anything was wrong.
    """
    before = len(problems)
    built = _section(schema, tree, "", schema, problems)
    return built if len(problems) == before else None


def to_tree(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested plain dicts and lists, ready for YAML or JSON."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def suggest(given: str, allowed: typing.Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of the allowed names, or nothing if none is near."""
    near = difflib.get_close_matches(given, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def sections(schema: type) -> Iterator[tuple[str, type]]:
    """Yield the dotted path and the dataclass of every section below ``schema``, itself first with path ``""``."""
    yield "", schema
    for name, kind in fields_of(schema).items():
        for option in _options(kind):
            if dataclasses.is_dataclass(option):
                for path, section in sections(option):
                    yield f"{name}.{path}" if path else name, section


@cache
def fields_of(schema: type) -> dict[str, Any]:
    """Return the resolved type of each field of a dataclass, in order."""
    hints = typing.get_type_hints(schema)
    return {field.name: hints[field.name] for field in dataclasses.fields(schema)}


def describe(kind: Any) -> str:
    """Return a type in the words of somebody who writes YAML."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in args)
    if origin is Literal:
        return args[0] if len(args) == 1 else f"one of {', '.join(args)}"
    if origin is tuple:
        return f"a list of {describe(args[0])}" if args[-1] is ... else f"a list of {len(args)} x {describe(args[0])}"
    if dataclasses.is_dataclass(kind):
        return "a section"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}[kind]


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def _section(schema: type, tree: Any, path: str, root: type, problems: list[str]) -> Any:
    if not isinstance(tree, Mapping):
        problems.append(f"{path} must be a section with the keys {', '.join(fields_of(schema))}; got {tree!r}")
        return None
    before, known = len(problems), fields_of(schema)
    problems += [_unknown(path, str(key), root, known) for key in tree if key not in known]
    values = {}
    for name, kind in known.items():
        full = f"{path}.{name}" if path else name
        if name not in tree or tree[name] == MISSING:
            problems.append(f"{full} is missing; it must be {describe(kind)}")
        else:
            values[name] = _convert(kind, tree[name], full, root, problems)
    if len(values) < len(known) or len(problems) > before:
        return None
    try:
        return schema(**values)
    except ValueError as error:  # a dataclass's own rules, e.g. those between the sizes of the model
        problems += [line.strip() for line in str(error).splitlines() if not line.endswith(":")]
        return None


def _unknown(path: str, key: str, root: type, known: Mapping[str, Any]) -> str:
    """Say that a key does not exist, and which one was probably meant: a sibling, else a namesake elsewhere."""
    where = f"{path}.{key} is not a key of {path}" if path else f"{key} is not a key of the configuration"
    near = difflib.get_close_matches(key, known, n=1) or [name for name in known if _initials(name) == key]
    if near:
        return f"{where}; did you mean {path + '.' if path else ''}{near[0]}?"
    namesakes = [f"{p}.{key}" if p else key for p, section in sections(root) if key in fields_of(section)]
    if namesakes:
        return f"{where}; did you mean {' or '.join(namesakes)}?"
    return f"{where}; its keys are {', '.join(known)}"


def _initials(name: str) -> str:
    """Return ``lr`` for ``learning_rate``: what people type for a name they half remember."""
    return "".join(word[0] for word in name.split("_"))


def _convert(kind: Any, value: Any, path: str, root: type, problems: list[str]) -> Any:
    for option in _options(kind):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            return _section(option, value, path, root, problems)
        fits, converted = _scalar_or_list(option, value)
        if fits:
            return converted
    problems.append(f"{path} must be {describe(kind)}; got {value!r}")
    return None


def _scalar_or_list(kind: Any, value: Any) -> tuple[bool, Any]:
    """Return whether ``value`` is of type ``kind``, and it converted (int to float, list to tuple)."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return value in args and isinstance(value, str), value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False, None
        kinds = [args[0]] * len(value) if args[-1] is ... else list(args)
        items = [_scalar_or_list(item_kind, item) for item_kind, item in zip(kinds, value, strict=False)]
        return len(kinds) == len(value) and all(fits for fits, _ in items), tuple(item for _, item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if dataclasses.is_dataclass(kind) or (kind is int and isinstance(value, bool)):
        return False, None
    return isinstance(value, kind), value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_tree(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
