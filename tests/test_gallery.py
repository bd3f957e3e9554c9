"""The contact sheets of the documentation."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from f1rl.config.compose import compose
from f1rl_envs.sim.control.modes import MODES

MOST_BYTES = 250_000


@pytest.fixture
def gallery(repository, monkeypatch):
    """The script."""
    monkeypatch.syspath_prepend(repository / "scripts")
    return importlib.import_module("gallery")


def test_every_sheet_is_in_the_documentation_and_small(gallery, repository):
    page = (repository / "docs" / "environments.md").read_text()
    for name in gallery.SHEETS:
        path = repository / "docs" / "images" / f"gallery_{name}.jpg"
        assert f"images/{path.name})" in page
        assert 10_000 < path.stat().st_size < MOST_BYTES
    assert len(list((repository / "docs" / "images").glob("gallery_*"))) == len(gallery.SHEETS)


def test_every_mode_and_key_has_a_strip(gallery):
    assert set(gallery.MOTIONS) == set(MODES)
    changed = {word.split("=")[0] for _, *words in (*gallery.LOOKS, *gallery.STARTS) for word in words}
    invisible = {"object_density", "object_friction"}
    assert changed | invisible == set(vars(compose(["randomization=none"]).randomization))


@pytest.mark.sim
def test_a_strip_is_drawn_under_its_label(gallery, monkeypatch):
    monkeypatch.setattr(gallery, "SIZE", 48)
    monkeypatch.setattr(gallery, "SCENES", 2)
    (strip,) = gallery.keys(gallery.LOOKS[:1])
    assert strip.label == "random_background=true"
    first, second = strip.pictures
    assert first.shape == (48, 48, 3)
    assert min(first.std(), second.std()) > 20.0  # neither black nor empty
    assert (first != second).any(axis=2).mean() > 0.5
    sheet = np.array(gallery.draw([strip, strip]))
    assert sheet.shape == (2 * (24 + 48 + 4) + 4, 2 * (48 + 4) + 4, 3)
    np.testing.assert_array_equal(sheet[24:72, 4:52], first)
    assert sheet[:24].min() < 100  # the label
