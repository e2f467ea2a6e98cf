"""The page says what the report holds, loads nothing, and is safe with any value of the data."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from training.evaluation.report import Report, render_page
from training.evaluation.report.svg import number, ticks
from training.result import CrossValidation, FoldRow, Interval

from .conftest import MODELS, Fitted, fit, table


class Page(HTMLParser):
    """The tags, and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses.extend(value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action"})

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def report(binary: dict[str, Fitted]) -> Report:
    return binary["xgboost"].report()


def test_the_page_loads_nothing_from_elsewhere(report: Report) -> None:
    html = render_page(report)
    page = Page(html)
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_shows_the_figures_of_the_report(report: Report) -> None:
    text = " ".join(Page(render_page(report, {"aliases": "champion"})).text.split())
    for metric, interval in report.metrics.items():
        assert metric in text
        assert f"{interval.value:.4f}" in text
    for words in ("ROC", "Precision and recall", "Calibration", "Confusion", "Cost of the threshold", "Limits",
                  "Weak slices", "compared with", "TreeSHAP", "aliases champion"):  # fmt: skip
        assert words in text


def test_a_cross_validation_is_shown(report: Report) -> None:
    rows = [
        FoldRow(repeat=1, fold=1, train_rows=60, validation_rows=15, test_rows=25, metrics={"roc_auc": 0.7123}),
        FoldRow(repeat=1, fold=2, train_rows=60, validation_rows=15, test_rows=25, error="it diverged"),
        FoldRow(repeat=1, fold=3, train_rows=60, validation_rows=15, test_rows=25, metrics={"roc_auc": 0.7345}),
    ]
    mean = {"roc_auc": Interval(value=0.7234, low=0.6, high=0.8)}
    crossed = CrossValidation(folds=3, repeats=1, metrics=mean, rows=rows)
    text = " ".join(Page(render_page(report.model_copy(update={"cross_validation": crossed}))).text.split())
    assert "Cross-validation: 3 folds" in text
    assert "roc_auc 0.7234 0.6000 to 0.8000 0.7123 0.7345" in text


def test_values_of_the_data_cannot_become_markup(report: Report) -> None:
    html = render_page(report)
    assert "<b>east</b>" not in html
    assert "&lt;b&gt;east&lt;/b&gt;" in html
    sneaky = report.model_copy(update={"target": "<script>alert(1)</script>", "limits": ["<img src=x>"]})
    assert not {"script", "img"} & set(Page(render_page(sneaky)).tags)


@pytest.mark.parametrize("classes", [None, ("a", "b", "c")])
def test_every_task_has_a_page(classes: tuple[str, ...] | None) -> None:
    fitted = fit(table(classes=classes), MODELS["xgboost"])
    text = Page(render_page(fitted.report())).text
    assert ("Residual by prediction" in text) == (classes is None)
    assert ("Confusion" in text) == (classes is not None)


def test_without_an_explanation_the_page_has_none(binary: dict[str, Fitted]) -> None:
    fitted = fit(table(200), MODELS["xgboost"], evaluation={"explain": False, "bootstrap_samples": 0})
    report = fitted.report()
    assert report.explanation is None
    assert "What the scores are made of" not in Page(render_page(report)).text


def test_the_report_survives_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_the_rows_of_an_inline_source_are_left_out(report: Report) -> None:
    assert report.spec["data"]["source"]["rows"] == "600 rows, left out"


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.25, "0.25"), (1234.5, "1,234"), (25_000, "25k"), (3e6, "3M"), (1e-5, "1.0e-05")]
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_ticks_are_round_and_within() -> None:
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(3, 3) == [3]
    assert all(-0.37 <= tick <= 12.4 for tick in ticks(-0.37, 12.4))
