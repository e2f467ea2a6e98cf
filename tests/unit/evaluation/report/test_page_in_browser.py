"""The page in a real headless browser: on a phone and a desk, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browser_page, find_browser

from training.evaluation.report import render_page
from training.evaluation.report.model import LearningPoint

from .conftest import Fitted

BROWSER = find_browser()
pytestmark = [pytest.mark.slow, pytest.mark.browser]
LEAST_CONTRAST = 4.5
"""Of text and its ground, as WCAG 2.1 asks (1.4.3, level AA)."""
CONTRASTS = """(() => {
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = node => { for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$|transparent/.test(colour)) return colour; } return 'rgb(255, 255, 255)'; };
  return [...document.querySelectorAll('body *')].filter(node => node.closest('svg') === null &&
      [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())).map(node => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 40)]; }).sort((x, y) => x[0] - y[0])[0];
})()"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    assert BROWSER is not None
    with browser_page(BROWSER) as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_all_of_it_can_be_read(page: Page, binary: dict[str, Fitted], tmp_path: Path, width: int, scheme: str) -> None:
    curve = [LearningPoint(rows=rows, train=0.9, test=0.7 + rows / 1000) for rows in (40, 80, 160)]
    (tmp_path / "report.html").write_text(
        render_page(binary["xgboost"].report().model_copy(update={"learning_curve": curve}))
    )
    page.do("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    page.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.console.clear()
    page.open(f"file://{tmp_path}/report.html")
    assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    contrast, text = page.value(CONTRASTS)
    assert contrast >= LEAST_CONTRAST, text
    ground = page.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 60) == (scheme == "dark")
    assert "Learning curve" in page.text()
    assert page.value("[...document.querySelectorAll('svg')].every(one => one.getBoundingClientRect().width > 100)")
    assert page.console == []
