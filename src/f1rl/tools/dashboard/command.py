"""``python -m f1rl dashboard``: print the dashboard of a W&B project, or create it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import orjson
import yaml

from f1rl.config.compose import compose
from f1rl.errors import ConfigError, EnvironmentFailure
from f1rl.tools.arguments import Parser
from f1rl.tools.dashboard.panels import SECTIONS, Panel
from f1rl.views.wandb_server import why_not_online


def main(words: Sequence[str]) -> int:
    """Print or save the dashboard.

    Raises:
        ConfigError: a package that is needed is not installed.
        EnvironmentFailure: the server cannot be used, or refused.
        UsageError: the words make no sense.
    """
    parser = Parser("dashboard", "Create a view of a W&B project that shows what f1rl's runs record.")
    parser.add_argument("--project", help="default: logger.wandb.project")
    parser.add_argument("--entity", help="user or team that owns it; default: that of the API key")
    parser.add_argument("--name", default="f1rl", help="of the view")
    parser.add_argument(
        "--print",
        choices=("yaml", "json"),
        nargs="?",
        const="yaml",
        help="only print it, without a server: to read (yaml), or as W&B is sent it (json)",
    )
    options = parser.parse_args(words)
    defaults = compose(["logger=wandb"]).logger.wandb
    view = {"name": options.name, "project": options.project or defaults.project}
    entity = options.entity or defaults.entity
    if options.print == "yaml":
        text = yaml.safe_dump(
            {**view, "entity": entity, "sections": described()}, sort_keys=False, default_flow_style=None, width=120
        )
        print(text, end="")
    elif options.print == "json":
        package = _packages()
        made = package.workspace(**view, entity=entity or "", sections=SECTIONS)
        print(orjson.dumps(package.as_sent(made), option=orjson.OPT_INDENT_2).decode())
    else:
        print(_save(view, entity))
    return 0


def described() -> list[dict[str, Any]]:
    """Return the sections as plain values."""
    return [{"title": s.title, "panels": [_described(panel) for panel in s.panels]} for s in SECTIONS]


def _described(panel: Panel) -> dict[str, Any]:
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(panel).items() if value}
    if panel.kind not in ("curves", "seeds"):
        del values["clock"]
    return values


def _packages() -> ModuleType:
    """Import what only this command needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from f1rl.tools.dashboard import workspace
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}; pip install -e '.[wandb]' installs it") from error
    return workspace


def _save(view: dict[str, str], entity: str | None) -> str:
    package = _packages()
    if reason := why_not_online():
        raise EnvironmentFailure(f"nothing was saved: {reason}. --print shows the dashboard without a server")
    try:
        owner = entity or package.default_entity()
        return package.save(package.workspace(**view, entity=owner, sections=SECTIONS))
    except Exception as error:  # wandb has no common class for what its server refuses
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise EnvironmentFailure(
            f"W&B did not save the dashboard: {reason}. Does the project {view['project']} "
            f"exist, and may {entity or 'the owner of the API key'} change it?"
        ) from error
