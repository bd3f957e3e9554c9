"""From a plain configuration to an environment, or to its :class:`EnvSpec` without building one.

``config["id"]`` names the environment: ``toy`` (numpy only), ``random_exploration`` (the simulator), or
``package.module:attribute`` for an environment of your own, where the attribute is any object (a class with static
methods will do) that has ``make(config) -> gymnasium.Env`` and ``spec(config) -> EnvSpec``.

Importing this module and calling :func:`spec` loads neither torch nor the simulator.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import gymnasium

    from f1rl_envs.spec import EnvSpec

Check = Callable[[object], "str | None"]
"""Returns what a value must be, or None when it already is."""
Schema = Mapping[str, "Check | Schema"]


class EnvProvider(Protocol):
    """What ``package.module:attribute`` has to offer."""

    def make(self, config: Mapping[str, object]) -> gymnasium.Env:
        """Build the environment."""

    def spec(self, config: Mapping[str, object]) -> EnvSpec:
        """Describe the environment without building it."""


def make(config: Mapping[str, object]) -> gymnasium.Env:
    """Build the environment that ``config`` describes.

    Args:
        config: plain nested mapping with an ``id`` and all the keys of that environment.

    Raises:
        ValueError: if a key is missing, unknown or has a value out of range; all faults are named at once.
        RendererError: if the simulator finds no usable renderer.
    """
    name = _checked_id(config)
    if name == "toy":
        from f1rl_envs import toy

        return toy.make(config)
    if name == "random_exploration":
        import f1rl_envs.sim

        return f1rl_envs.sim.make(config)
    return _custom(name).make(config)


def spec(config: Mapping[str, object]) -> EnvSpec:
    """Describe the environment that ``config`` describes, without building it or importing a simulator.

    Args:
        config: plain nested mapping with an ``id`` and all the keys of that environment.

    Raises:
        ValueError: if a key is missing, unknown or has a value out of range; all faults are named at once.
    """
    name = _checked_id(config)
    if name == "toy":
        from f1rl_envs import toy

        return toy.spec(config)
    if name == "random_exploration":
        from f1rl_envs.sim.spec import spec as sim_spec

        return sim_spec(config)
    return _custom(name).spec(config)


def _one_of(*allowed: str) -> Check:
    return lambda value: None if value in allowed else f"one of {', '.join(allowed)}"


def _integer(low: int, high: int, multiple: int = 1) -> Check:
    def check(value: object) -> str | None:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if is_int and low <= value <= high and value % multiple == 0:
            return None
        return f"a whole number from {low} to {high}" + (f", a multiple of {multiple}" if multiple > 1 else "")

    return check


def _positive(value: object) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and value > 0 else "a number above 0"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _cameras(*allowed: str) -> Check:
    def check(value: object) -> str | None:
        is_list = isinstance(value, list | tuple) and len(value) > 0
        if is_list and len(set(map(str, value))) == len(value) and set(value) <= set(allowed):
            return None
        return f"a list of one or more of {', '.join(allowed)}, none of them twice"

    return check


def _count_range(value: object) -> str | None:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(type(entry) is int for entry in value)
    return None if is_pair and 0 <= value[0] <= value[1] else "two whole numbers [low, high] with 0 <= low <= high"


def _device(value: object) -> str | None:
    is_cuda = isinstance(value, str) and value.startswith("cuda:") and value[5:].isdecimal()
    return None if value in ("auto", "cpu") or is_cuda else "auto, cpu or cuda:N"


SCHEMAS: Mapping[str, Schema] = {
    "toy": {
        "id": _one_of("toy"),
        "variant": _one_of("arm", "clock", "cue"),
        "cameras": _cameras("head", "wrist"),
        "resolution": _integer(32, 512, multiple=16),
        "max_steps": _integer(1, 60_000),
    },
    "random_exploration": {
        "id": _one_of("random_exploration"),
        "embodiment": _one_of("franka"),
        "control_mode": _one_of("delta_qpos"),
        "action_scale": _positive,
        "cameras": _cameras("head", "wrist"),
        "resolution": _integer(16, 1024),
        "max_steps": _integer(1, 1_000_000),
        "sim_freq": _integer(1, 100_000),
        "control_freq": _integer(1, 100_000),
        "render_device": _device,
        "randomization": {
            "random_background": _flag,
            "random_light": _flag,
            "random_appearance": _flag,
            "cluttered_table": _flag,
            "num_objects": _count_range,
        },
    },
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
    sim_freq, control_freq = config.get("sim_freq"), config.get("control_freq")
    if not faults and sim_freq is not None and sim_freq % control_freq:
        faults.append(f"sim_freq is {sim_freq} but must be a multiple of control_freq, which is {control_freq}")
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


def _custom(name: str) -> EnvProvider:
    """Import the object that ``package.module:attribute`` names."""
    module, _, attribute = name.partition(":")
    try:
        provider = importlib.import_module(module)
        for part in attribute.split("."):
            provider = getattr(provider, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"environment id {name!r} cannot be loaded: {error}; it must be 'package.module:attribute' "
            "of something importable from sys.path"
        ) from error
    lacking = [method for method in ("make", "spec") if not callable(getattr(provider, method, None))]
    if lacking:
        raise ValueError(f"environment id {name!r} names an object without {' and '.join(lacking)}(config)")
    return provider
