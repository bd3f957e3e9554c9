"""The sections as a W&B workspace, saved to the server. Importing this module loads wandb and wandb-workspaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import wandb
import wandb_workspaces.reports.v2 as reports
from wandb_workspaces.workspaces import Section as WandbSection
from wandb_workspaces.workspaces import Workspace

from f1rl.tools.dashboard.panels import Panel, Section

_OPEN = 2  # sections that are open at first; the others are one click away


def workspace(name: str, project: str, entity: str, sections: Sequence[Section]) -> Workspace:
    """Return ``sections`` as the view ``name`` of a project; nothing is sent."""
    made = [
        WandbSection(name=section.title, panels=[_panel(panel) for panel in section.panels], is_open=number < _OPEN)
        for number, section in enumerate(sections)
    ]
    return Workspace(entity=entity, project=project, name=name, sections=made)


def as_sent(view: Workspace) -> dict[str, Any]:
    """Return the view as W&B's server is given it."""
    return view._spec  # the package has no public name for it


def default_entity() -> str:
    """Return the user or team that the API key belongs to, by asking the server.

    Raises:
        LookupError: the server names none.
    """
    entity = wandb.Api().default_entity
    if not entity:
        raise LookupError("the API key has no default entity; --entity names the owner of the project")
    return entity


def save(view: Workspace) -> str:
    """Create the view on the server and return its address.

    Raises:
        Exception: of whatever kind wandb raises when the server refuses.
    """
    with redirect_stderr(StringIO()):  # wandb says where the view is; so does the caller
        return view.save().url


def _panel(panel: Panel) -> Any:
    match panel.kind:
        case "curves" | "seeds":
            return _curves(panel)
        case "gallery":
            return reports.MediaBrowser(title=panel.title, media_keys=list(panel.metrics), num_columns=2)
        case "table":
            return reports.WeavePanelSummaryTable(table_name=panel.metrics[0])
        case "importance":
            return reports.ParameterImportancePlot(with_respect_to=panel.metrics[0])
        case "parallel":
            columns = [*map(reports.Config, panel.settings), *map(reports.SummaryMetric, panel.metrics)]
            made = [reports.ParallelCoordinatesPlotColumn(metric=column) for column in columns]
            return reports.ParallelCoordinatesPlot(title=panel.title, columns=made)


def _curves(panel: Panel) -> reports.LinePlot:
    names = [name for name in panel.metrics if "*" not in name]
    patterns = [".*".join(map(re.escape, name.split("*"))) for name in panel.metrics if "*" in name]
    grouped = {"groupby": "Group", "groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    return reports.LinePlot(
        title=panel.title,
        x=panel.clock,
        y=names,
        metric_regex=f"^({'|'.join(patterns)})$" if patterns else None,
        **(grouped if panel.kind == "seeds" else {}),
    )
