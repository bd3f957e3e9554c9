"""Fixtures of the tests of views."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browser_support import headless


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return one headless browser for all tests."""
    with headless() as found:
        yield found
