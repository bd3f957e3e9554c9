"""From a plain configuration to an environment, or to its :class:`EnvSpec` without building one.

``config["id"]`` names the environment: ``toy`` (numpy only), ``random_exploration`` and ``maniskill`` (the simulator),
or ``package.module:attribute`` for an environment of your own, where the attribute is any object (a class with static
methods will do) that has ``make(config) -> gymnasium.Env`` and ``spec(config) -> EnvSpec``.

Importing this module and calling :func:`spec` loads neither torch nor the simulator.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gymnasium

    from f1rl_envs.spec import EnvSpec

Check = Callable[[object], "str | None"]
"""Returns what a value must be, or None when it already is."""
Schema = Mapping[str, "Check | Schema"]


def make(config: Mapping[str, object]) -> gymnasium.Env:
    """Build the environment that ``config`` describes.

    Args:
        config: plain nested mapping with an ``id`` and all the keys of that environment.

    Raises:
        ValueError: if a key is missing, unknown or has a value out of range; all faults are named at once.
        RendererError: if the simulator finds no usable renderer.
    """
    return load(config)(config)


def spec(config: Mapping[str, object]) -> EnvSpec:
    """Describe the environment that ``config`` describes, without building it or importing a simulator.

    Args:
        config: plain nested mapping with an ``id`` and all the keys of that environment.

    Raises:
        ValueError: if a key is missing, unknown or has a value out of range; all faults are named at once.
    """
    name = _checked_id(config)
    return _imported(BUILT_IN[name][1] if name in BUILT_IN else f"{name}.spec")(config)


def load(config: Mapping[str, object]) -> Callable[[Mapping[str, object]], gymnasium.Env]:
    """Check ``config`` and import, simulator included, what builds its environment.

    Returns:
        A function that builds it from ``config``; :func:`make` is this and the call.

    Raises:
        ValueError: as :func:`make`.
    """
    spec(config)  # refuses wrong values before seconds go into importing a simulator
    name = config["id"]
    return _imported(BUILT_IN[name][0] if name in BUILT_IN else f"{name}.make")


def _one_of(*allowed: str) -> Check:
    return lambda value: None if value in allowed else f"one of {', '.join(allowed)}"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(value: object) -> str | None:
    return None if _is_integer(value) else "a whole number"


def _integer_in(low: int, high: int, multiple: int = 1) -> Check:
    suffix = f", a multiple of {multiple}" if multiple > 1 else ""

    def check(value: object) -> str | None:
        fits = _is_integer(value) and low <= value <= high and value % multiple == 0
        return None if fits else f"a whole number from {low} to {high}{suffix}"

    return check


def _number(value: object) -> str | None:
    return None if _is_integer(value) or isinstance(value, float) else "a number"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "a text"


def _texts(value: object) -> str | None:
    is_list = isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    return None if is_list else "a list of names"


def _integer_pair(value: object) -> str | None:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_integer, value))
    return None if is_pair else "two whole numbers [low, high]"


def _number_pair(value: object) -> str | None:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(_number(entry) is None for entry in value)
    return None if is_pair else "two numbers [low, high]"


def _optional(check: Check) -> Check:
    def optional(value: object) -> str | None:
        wanted = None if value is None else check(value)
        return None if wanted is None else f"{wanted}, or nothing (null)"

    return optional


def _some_of(*allowed: str) -> Check:
    def check(value: object) -> str | None:
        fits = _texts(value) is None and 0 < len(value) == len(set(value)) and set(value) <= set(allowed)
        return None if fits else f"a list of one or more of {', '.join(allowed)}, each once"

    return check


BUILT_IN: Mapping[str, tuple[str, str]] = {
    "toy": ("f1rl_envs.toy:make", "f1rl_envs.toy:spec"),
    "random_exploration": ("f1rl_envs.sim.gym:RandomExplorationEnv", "f1rl_envs.sim.spec:spec"),
    "maniskill": ("f1rl_envs.sim.maniskill:ManiSkillEnv", "f1rl_envs.sim.maniskill_spec:spec"),
}
"""What builds and what describes each built-in environment; imported only when it is asked for."""

# Keys and types; what the values may be is known, and checked, where the simulator uses them.
_SIMULATOR: Schema = {
    "id": _text,
    "control": {"mode": _text, "action_scale": _number, "planner": _optional(_text)},
    "camera": {
        "names": _texts,
        "resolution": _integer,
        "head_fov": _optional(_number),
        "wrist_fov": _optional(_number),
        "depth": _flag,
    },
    "max_steps": _integer,
    "sim_freq": _integer,
    "control_freq": _integer,
    "render_device": _text,
}
SCHEMAS: Mapping[str, Schema] = {
    "toy": {
        "id": _text,
        "variant": _one_of("arm", "clock", "cue"),
        "camera": {"names": _some_of("head", "wrist"), "resolution": _integer_in(32, 512, multiple=16)},
        "max_steps": _integer_in(1, 60_000),
    },
    "random_exploration": {
        **_SIMULATOR,
        "embodiment": {"arms": _texts, "distance": _optional(_number)},
        "randomization": {
            "random_background": _flag,
            "random_light": _flag,
            "random_appearance": _flag,
            "cluttered_table": _flag,
            "num_objects": _integer_pair,
            "object_shapes": _texts,
            "object_size": _number_pair,
            "object_density": _number_pair,
            "object_friction": _number_pair,
            "camera_position_jitter": _number,
            "camera_rotation_jitter": _number,
            "initial_pose_noise": _number,
        },
    },
    "maniskill": {**_SIMULATOR, "task": _text},
}
"""The keys of the built-in environments; every one of them must be given, because defaults live with the caller."""


def _checked_id(config: Mapping[str, object]) -> str:
    """Return ``config["id"]`` after the whole configuration was found to be right."""
    name = config.get("id")
    if isinstance(name, str) and ":" in name:
        return name
    if name not in SCHEMAS:
        raise ValueError(
            f"there is no environment with id {name!r}; the built-in ones are {', '.join(SCHEMAS)}, "
            "and 'package.module:attribute' names one of your own"
        )
    faults = _faults(config, SCHEMAS[name])
    if faults:
        raise ValueError(f"the configuration of environment {name!r} is wrong: " + "; ".join(faults))
    return name


def _faults(config: Mapping[str, object], schema: Schema, prefix: str = "") -> list[str]:
    """Name everything that is wrong in ``config``, in the order of the keys."""
    faults = [f"key {prefix + key!r} is missing" for key in schema if key not in config]
    for key, value in config.items():
        check = schema.get(key)
        if check is None:
            close = difflib.get_close_matches(str(key), schema, n=1)
            hint = f"did you mean {prefix + close[0]!r}?" if close else f"the keys are {', '.join(schema)}"
            faults.append(f"key {prefix + str(key)!r} is unknown ({hint})")
        elif not callable(check):
            if isinstance(value, Mapping):
                faults += _faults(value, check, f"{prefix}{key}.")
            else:
                faults.append(f"{prefix}{key} is {value!r} but must have the keys {', '.join(check)}")
        elif (wanted := check(value)) is not None:
            faults.append(f"{prefix}{key} is {value!r} but must be {wanted}")
    return faults


def _imported(name: str) -> Callable:
    """Import the function that ``package.module:attribute`` names."""
    module, _, attribute = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name!r} cannot be loaded: {error}; id must be 'package.module:attribute', importable from sys.path, "
            "where the attribute has make(config) and spec(config)"
        ) from error
    return found
