"""The report as a page that stands alone: one file, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2

from training.evaluation.report.model import Report
from training.evaluation.report.plots import dependence_figures, explanation_figures, quality_figures
from training.evaluation.report.study import best_trials, study_figures, study_sentences
from training.result import Interval

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for the page: nothing but its own style. Sent as a header, and written into the page."""


def render_page(report: Report, status: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        report: what it shows.
        status: further facts to put at its top, by name, such as the aliases of the version now.
    """
    text: str = _template().render(
        report=report,
        status=status or {},
        csp=CSP,
        quality=list(quality_figures(report)),
        explanation=[] if report.explanation is None else list(explanation_figures(report.explanation)),
        study_figures=[] if report.study is None else list(study_figures(report.study)),
        study_sentences=[] if report.study is None else list(study_sentences(report.study)),
        best_trials=[] if report.study is None else best_trials(report.study),
        dependence=[] if report.explanation is None else list(dependence_figures(report.explanation)),
    )
    return text


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"figure": _figure, "interval": _interval, "share": _share, "value": _value}
    return environment.get_template("page.html")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if abs(value) >= 10 else f"{value:.4f}"


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f"{_figure(interval.low)} to {_figure(interval.high)}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _value(value: object) -> str:
    """A value of a parameter, to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
