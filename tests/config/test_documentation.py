"""The schema, the files under conf/ and docs/configuration.md say the same about every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conf_comments import commented_keys
from f1rl.cli import EXIT_CODES
from f1rl.config.compose import conf_dir, groups
from f1rl.config.reference import field_docs, tables
from f1rl.config.schema import Config
from f1rl.typed import fields_of, sections

SECTIONS = dict(sections(Config))
EXPLAINED = {path: section for path, section in SECTIONS.items() if path.split(".")[0] != "model"}
FILES = [
    path.relative_to(conf_dir())
    for path in sorted(conf_dir().rglob("*.yaml"))
    if path.parent.name in SECTIONS and path.parent.name != "model"
]


@pytest.mark.parametrize("path", EXPLAINED)
def test_every_key_is_explained_in_one_line(path: str) -> None:
    docs = field_docs(EXPLAINED[path])
    assert list(docs) == list(fields_of(EXPLAINED[path]))
    assert all(text.endswith(".") and len(text) < 120 for text in docs.values())


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_files_explain_every_key_in_the_words_of_the_schema(file: Path) -> None:
    keys = list(commented_keys((conf_dir() / file).read_text(), file.parent.name))
    assert {key for path, key, _ in keys if path == file.parent.name} == set(fields_of(SECTIONS[file.parent.name]))
    wrong = {f"{path}.{key}": comment for path, key, comment in keys if comment != field_docs(SECTIONS[path])[key]}
    assert wrong == {}


def test_the_root_file_explains_its_scalars() -> None:
    text = (conf_dir() / "config.yaml").read_text()
    scalars = text[text.index("\n\n") : text.index("\nhydra:")]
    found = {key: comment for _, key, comment in commented_keys(scalars, "")}
    docs = field_docs(Config)
    assert found == {key: docs[key] for key in found}
    assert set(fields_of(Config)) == {*found, *(path for path in SECTIONS if path and "." not in path)}


def test_the_page_has_the_tables_of_the_schema(repository: Path) -> None:
    page = (repository / "docs" / "configuration.md").read_text()
    assert tables() in page, "put what `python -m f1rl.config.reference` prints under the heading Keys"


def test_the_page_lists_groups_options_and_exit_codes(repository: Path) -> None:
    lines = (repository / "docs" / "configuration.md").read_text().splitlines()
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines if line.startswith("| ")}
    for group, options in groups().items():
        assert set(re.findall(r"`(\w+)`", cells[f"`{group}`"])) == set(options)
    assert all(cells[str(code)] == meaning for code, meaning in EXIT_CODES)
