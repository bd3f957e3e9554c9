"""The HTML page of a run, in a browser without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser_support import Visit
from f1rl import cli
from records_support import add_media, episode, make_explorer_run, make_run

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'{{ 7*7 }}"


def page_of(run: Path) -> str:
    assert cli.main(["report", str(run), "--html"]) == 0
    return (run / "report" / "report.html").as_uri()


@pytest.fixture(scope="module")
def visit(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    run = tmp_path_factory.mktemp("page") / "run"
    with make_run(run, 30, status="done") as writer:
        for number in range(31, 61):
            writer.write(episode(number))
    add_media(run)
    return Visit(browser, page_of(run))


def test_every_section_is_there(visit: Visit) -> None:
    titles = visit.page.locator("h2").all_inner_texts()
    assert titles == [
        "Overview",
        "Health",
        "Curves",
        "Statistics",
        "Predictions",
        "Time",
        "Configuration",
        "Environment",
    ]
    assert visit.page.locator("h1").inner_text() == "mine"
    assert visit.page.locator(".badge").inner_text() == "done"
    assert "copy last frame" in visit.page.locator("#overview").inner_text()
    assert "num_episodes" in visit.page.locator("#configuration").inner_text()


def test_every_curve_is_drawn(visit: Visit) -> None:
    assert visit.draw_all() >= 4
    assert visit.page.locator(".figure .js-line").count() >= visit.page.locator(".figure").count()
    loss = visit.page.locator("#figure-loss")
    assert loss.locator(".legendtext").all_text_contents() == ["training", "validation", "copy last frame"]
    drawn = visit.page.evaluate("document.getElementById('figure-loss').data.map(trace => trace.y.length)")
    assert drawn == [60, 60, 6, 6]  # every record, their rolling mean, the validations and their reference
    assert "their rolling mean over a fifteenth" in visit.page.locator("#curves .note").first.inner_text()


def test_hovering_shows_values(visit: Visit) -> None:
    visit.draw_all()
    visit.page.locator("#figure-loss .nsewdrag").hover()
    visit.page.locator("#figure-loss .hoverlayer .legendtext").first.wait_for()


def test_pictures_and_videos_are_in_the_page(visit: Visit) -> None:
    visit.page.locator("#predictions img").scroll_into_view_if_needed()
    visit.page.wait_for_function("document.querySelector('#predictions img').naturalWidth > 0")
    visit.page.wait_for_function("document.querySelector('#predictions video').readyState > 0")
    assert visit.page.locator("#predictions video").get_attribute("src").startswith("data:video/mp4")


def test_it_is_quiet_and_asks_nobody(visit: Visit) -> None:
    visit.draw_all()
    visit.page.emulate_media(color_scheme="dark")
    visit.page.set_viewport_size({"width": 380, "height": 800})
    visit.page.wait_for_function("document.documentElement.scrollWidth <= 380")  # curves follow the window
    assert visit.complaints == []
    assert set(visit.requests) <= {"file", "data", "blob"}


def test_html_in_names_does_no_harm(browser: Browser, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with make_run(run, name=HOSTILE, status="failed", error=HOSTILE, tags=[HOSTILE]) as writer:
        writer.write(episode(11, **{"<b onclick=alert(3)>": 1.0}))
        writer.write(episode(12, **{"<b onclick=alert(3)>": 2.0}))
    (run / "config.yaml").write_text(json.dumps({"note": HOSTILE, HOSTILE: {"a": HOSTILE}}))
    visit = Visit(browser, page_of(run))
    assert visit.page.locator("h1").inner_text() == HOSTILE
    visit.draw_all()
    assert visit.page.locator("img, b").count() == 0
    assert visit.complaints == []


def test_many_records_are_drawn_as_bands(browser: Browser, tmp_path: Path) -> None:
    with make_run(tmp_path / "run", 5) as writer:
        for number in range(6, 1201):
            writer.write(episode(number, avg_loss=50.0 if number == 700 else 3.0 + number % 2))
    visit = Visit(browser, page_of(tmp_path / "run"))
    visit.draw_all()
    text = visit.page.locator("#curves .note").first.inner_text()
    assert "1,200 training records are drawn as 400 points: each is the mean of 3" in text
    assert visit.page.evaluate("Math.max(...document.getElementById('figure-loss').data[0].y)") == 50  # in the band


def test_an_explorers_curves_are_drawn(browser: Browser, tmp_path: Path) -> None:
    make_explorer_run(tmp_path / "run")
    visit = Visit(browser, page_of(tmp_path / "run"))
    visit.draw_all()
    assert visit.page.locator(".card h3").first.inner_text() == "Reward"
    for key in ("reward", "kl", "approx_kl", "entropy"):
        assert visit.page.locator(f"#figure-{key} .js-line").count() >= 1
    terms = visit.page.locator(".card h3").filter(has_text="Reward: ").all_inner_texts()
    assert terms == ["Reward: memory", "Reward: uncertainty", "Reward: success", "Reward: surprise"]
    assert "random policy" in visit.page.locator("#overview").inner_text()
    assert "updates 24 s (20 %)" in visit.page.locator("#time").inner_text()
    assert visit.complaints == []
