"""The report as a page: what it says, and how it looks in a real browser, wide and narrow, light and dark."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from browser import browser_page, find_browser
from watched import START, Feed, monitor, people, profile_of

from training.monitoring.check import Watched, check, report_path
from training.monitoring.store import StreamStore
from training.monitoring.svg import HEIGHT, WIDTH, Line, plot, ticks

ATTACK = "<script>document.title='hacked'</script>"
BROWSER = find_browser()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a stream that drifts after a week, with outcomes for some days, a gap, and a hostile label."""
    folder = tmp_path_factory.mktemp("page")
    store = StreamStore(str(folder), "people")
    feed = Feed(store)
    for day in (0, 1, 2, 3, 6, 7, 8):
        rows = people(300, day, shift=1.0 if day >= 6 else 0.0)
        rows.loc[:20, "region"] = ATTACK
        rows = feed.predictions(rows, start=START + timedelta(days=day), every_s=250)
        if day < 3:
            feed.outcomes(rows)
    spec = monitor(window={"duration_s": 86_400}, slices=["region"])
    check(Watched(spec, store, profile_of(people(2000, 99)), "1"), START + timedelta(days=8, hours=12))
    return Path(store.uri(report_path("1", "html")))


def test_the_page_says_what_the_report_says(page: Path) -> None:
    text = page.read_text()
    assert "The newest judged window, from 2026-01-08 00:00:" in text
    assert "income has drifted" in text
    assert "can&#x27;t see concept drift" in text
    assert text.count("<svg") >= 6
    assert "labels were never seen" in text
    assert ATTACK not in text


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_fits_a_desk_and_a_phone_by_day_and_by_night(page: Path) -> None:
    assert BROWSER is not None
    with browser_page(BROWSER) as tab:
        for width in (1280, 390):
            tab.do(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
            )
            backgrounds = set()
            for scheme in ("light", "dark"):
                media = [{"name": "prefers-color-scheme", "value": scheme}]
                tab.do("Emulation.setEmulatedMedia", features=media)
                tab.open(page.as_uri())
                assert tab.value("document.documentElement.scrollWidth") <= width
                # words are not broken into letters: a row of a table has few lines
                assert tab.value("Math.max(...[...document.querySelectorAll('td')].map(c => c.offsetHeight))") < 160
                drawn = tab.value("document.querySelector('svg text').getBoundingClientRect().height")
                assert drawn >= 9, "numbers at an axis can be read"
                outside = (
                    "[...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().left < 0).length"
                )
                assert tab.value(outside) == 0
                backgrounds.add(tab.value("getComputedStyle(document.body).backgroundColor"))
            assert len(backgrounds) == 2
        assert tab.console == []
        assert "hacked" not in tab.value("document.title")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 0.4, [0.0, 0.1, 0.2, 0.3, 0.4]),
        (0.812, 0.849, [0.81, 0.82, 0.83, 0.84, 0.85]),
        (-3.0, 12_000.0, [-5000.0, 0.0, 5000.0, 10_000.0, 15_000.0]),
    ],
)
def test_the_axis_has_round_numbers(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


def test_one_value_has_an_axis_too() -> None:
    for value in (0.0, 0.7, -12.0):
        found = ticks(value, value)
        assert found[0] <= value <= found[-1]
        assert len(found) >= 3


def test_a_gap_in_the_values_is_a_gap_in_the_curve() -> None:
    text = plot(["a", "b", "c", "d", "e"], [Line("x", [1.0, 2.0, None, 2.0, 1.0], "one")], [False] * 5)
    assert text.count("<polyline") == 2
    assert "nothing to plot" in plot(["a"], [Line("x", [None], "one")], [False])


def test_the_last_label_ends_with_the_plot() -> None:
    drawn = plot(["first", "second", "third"], [Line("value", [1.0, 2.0, 3.0], "one")], [False] * 3)
    assert f'<text x="{WIDTH:.1f}" y="{HEIGHT - 8}" text-anchor="end">third</text>' in drawn
    assert 'text-anchor="middle">second</text>' in drawn
