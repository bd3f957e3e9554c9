"""Sections to one HTML file that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from f1rl.errors import EnvironmentFailure
from f1rl.records.files import write_atomically
from f1rl.tools.page.figures import Figure


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own."""

    key: str
    """Identifier in the page, and its anchor."""
    title: str
    body: Markup
    """From :func:`fragment`, which escapes what it is given."""
    figures: tuple[Figure, ...] = field(default=())
    """Drawn where ``body`` has an element ``<div class="figure" id="KEY">``."""


def fragment(template: str, **values: Any) -> Markup:
    """Return the HTML of ``templates/{template}.html.j2``; every value is escaped unless it is Markup."""
    return Markup(_templates().get_template(f"{template}.html.j2").render(**values))


def write_document(path: Path, title: str, header: Markup, sections: Sequence[Section]) -> Path:
    """Write the page and return ``path``.

    Raises:
        EnvironmentFailure: the file system refuses.
    """
    figures = [figure.as_json() for section in sections for figure in section.figures]
    html = fragment(
        "document",
        title=title,
        header=header,
        sections=sections,
        figures=figures,
        style=asset("style.css"),
        script=asset("page.js"),
        plotly=plotly(),
        written=time.strftime("%Y-%m-%d %H:%M:%S"),
    )
    write_atomically(path, html.encode())
    return path


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("f1rl.tools.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def asset(name: str) -> Markup:
    """Return one of the page's own files, a style or a script."""
    return Markup(resources.files("f1rl.tools.page").joinpath("templates", name).read_text("utf-8"))


def plotly() -> Markup:
    """Return the drawing library; its Python side, slow to import, is not needed."""
    file = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    try:
        return Markup(file.read_text("utf-8"))
    except OSError as error:
        raise EnvironmentFailure(f"the installed plotly has no {file}; pip install --force-reinstall plotly") from error
