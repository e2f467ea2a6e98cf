"""The search for hyperparameters in the report: every plot is there, readable, and nothing of it becomes markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import browser_page, find_browser

from training.evaluation.report import Report, render_page, study_of
from training.result import StudySummary, TrialRow

from .conftest import Fitted

PLOTS = (
    "Optimisation history",
    "Importance of the parameters",
    "Learning curves of the trials",
    "Parallel coordinates",
)


def rows(count: int) -> list[TrialRow]:
    return [
        TrialRow(
            number=number, status="COMPLETE", origin="search",
            params={"learning_rate": 10.0 ** -(number % 4), "<script>": "<b>" if number % 2 else "plain"},
            values={"roc_auc": 0.7 + 0.01 * (number % 7), "predict_ms": 1.0 + number % 5},
            curve=[(1, 0.6), (2, 0.5), (3, 0.4 + 0.01 * number)], curve_metric="validation/log_loss",
        )
        for number in range(count)
    ]  # fmt: skip


def with_study(report: Report, *objectives: str, count: int = 12) -> Report:
    trials = rows(count)
    ranked = sorted(trials, key=lambda row: -row.values["roc_auc"])
    stopped = TrialRow(number=count, status="STOPPED", origin="search", params={}, curve=[(1, 0.7), (2, 0.69)])
    summary = StudySummary(
        objectives=list(objectives), searcher="tpe", scheduler="asha", trials={"COMPLETE": count, "STOPPED": 1},
        best=ranked[0], default=trials[0], pareto=ranked[:2] if len(objectives) > 1 else [],
        importances={"learning_rate": 0.9, "<script>": 0.1}, ended_by="trials", spent_s=3.0,
    )  # fmt: skip
    return report.model_copy(update={"study": study_of(summary, ranked, [stopped], True)})


@pytest.fixture(scope="module")
def report(binary: dict[str, Fitted]) -> Report:
    return binary["xgboost"].report()


def test_the_page_shows_every_plot_of_a_search(report: Report) -> None:
    page = render_page(with_study(report, "roc_auc"))

    assert all(f"<h3>{title}</h3>" in page for title in PLOTS)
    assert "12 complete, 1 stopped" in page
    assert "0.76 in trial 6, 0.7 with the default configuration" in page
    assert "roc_auc against predict_ms" in render_page(with_study(report, "roc_auc", "predict_ms"))
    assert "Search for hyperparameters" not in render_page(report)
    assert "<script" not in page


def test_the_report_of_a_search_comes_back_from_json(report: Report) -> None:
    made = with_study(report, "roc_auc")

    assert render_page(Report.model_validate_json(made.model_dump_json())) == render_page(made)


def test_a_search_of_one_trial_has_a_page(report: Report) -> None:
    assert "Optimisation history" in render_page(with_study(report, "roc_auc", count=1))


def test_a_report_keeps_the_best_of_very_many_trials(report: Report) -> None:
    study = with_study(report, "roc_auc", count=5000).study

    assert study is not None
    assert len(study.trials) <= 1000
    best = [row for row in study.trials if row.values.get("roc_auc") == pytest.approx(0.76)]
    assert len(best) >= 100
    assert sum(bool(row.curve) for row in study.trials) <= 100


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_draws_the_search_without_an_error_or_a_word_outside_its_plot(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_page(with_study(report, "roc_auc", "predict_ms")), encoding="utf-8")
    with browser_page(str(find_browser())) as page:
        page.open(file.as_uri())
        outside = page.value("""
            (() => {
              const found = [];
              const heading = document.getElementById('search');
              for (const svg of document.querySelectorAll('#search ~ .grid svg')) {
                const box = svg.getBoundingClientRect();
                if (box.width === 0 || box.height === 0) found.push('an empty plot');
                for (const text of svg.querySelectorAll('text')) {
                  const own = text.getBoundingClientRect();
                  if (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1)
                    found.push(text.textContent);
                }
              }
              return heading === null ? ['no heading'] : found;
            })()
        """)
        assert outside == []
        assert page.value("document.querySelectorAll('#search ~ .grid svg').length") >= len(PLOTS) + 1
        assert page.console == []
