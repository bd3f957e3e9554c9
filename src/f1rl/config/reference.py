"""``python -m f1rl.config.reference`` prints the tables of ``docs/configuration.md``."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import sys
import textwrap
from functools import cache
from typing import TYPE_CHECKING

from f1rl.config.compose import compose_tree
from f1rl.config.schema import Config
from f1rl.typed import fields_of, sections

if TYPE_CHECKING:
    from omegaconf import DictConfig


@cache
def field_docs(schema: type) -> dict[str, str]:
    """Return the line under each field of a dataclass; fields without one are left out."""
    body = ast.parse(textwrap.dedent(inspect.getsource(schema))).body[0].body
    return {
        field.target.id: " ".join(ast.literal_eval(line.value).split())
        for field, line in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(line, ast.Expr)
    }


def tables() -> str:
    """Return one Markdown table per section of the configuration; the model's sizes are explained in ``conf/model``."""
    # The first of these that has a section gives its defaults.
    defaults = [compose_tree([]), compose_tree(["phase=adversarial"])]
    parts = []
    for path, section in sections(Config):
        if path.split(".")[0] == "model":
            continue
        title = f"### `{path}`" if path else "### Top level"
        docs, nested = field_docs(section), {name for name, kind in fields_of(section).items() if _is_section(kind)}
        rows = [
            f"| `{name}` | `{_default(defaults, path, name)}` | {docs[name].replace('|', chr(92) + '|')} |"
            for name in fields_of(section)
            if name not in nested
        ]
        parts.append("\n".join([title, "", "| key | default | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _is_section(kind: object) -> bool:
    options = getattr(kind, "__args__", (kind,))
    return any(hasattr(option, "__dataclass_fields__") for option in options)


def _default(trees: list[DictConfig], path: str, name: str) -> str:
    """Return a default as it is written in YAML, references included."""
    from omegaconf import OmegaConf

    found = (OmegaConf.select(tree, path) if path else tree for tree in trees)
    node = next(node for node in found if node is not None)
    value = OmegaConf.to_container(node, resolve=False)[name]
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(tables())
