"""The health of a run as a part of a page."""

from __future__ import annotations

from f1rl.health.finding import Severity
from f1rl.health.score import Health
from f1rl.tools.page.render import Section, fragment

_CLASSES = {Severity.NOTE: "", Severity.MINOR: "warn", Severity.SERIOUS: "worse", Severity.CRITICAL: "worse"}


def health_section(health: Health) -> Section:
    """Return score, findings with advice, and what was judged."""
    rows = [
        (found.name, (found.severity.name.lower(), _CLASSES[found.severity]), found.reason, found.advice)
        for found in health.findings
    ]
    judged = {"judged": health.judged, "not_judged": health.not_judged}
    return Section("health", "Health", fragment("health", score=health.score, band=health.band, rows=rows, **judged))
