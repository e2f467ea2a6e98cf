"""The plots of a report."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from training.evaluation.report.figure import Figure
from training.evaluation.report.model import Curves, Dependence, Explanation, LearningPoint, Report
from training.evaluation.report.svg import Plot, bars

TOP_FEATURES = 15
UNIT = (0.0, 1.0)


def quality_figures(report: Report) -> Iterator[Figure]:
    """The plots that say how good the scores are."""
    curves = report.curves
    positive = report.classes[1] if report.task == "binary" else ""
    yield from _ranking(curves, positive)
    yield from _by_class(curves)
    if curves.calibration:
        yield _calibration(curves, positive or "the decided class")
    if curves.scores:
        yield _scores(report) if curves.residuals is None else _residual_histogram(curves)
    if curves.cost is not None:
        yield _cost(report)
    if curves.residuals is not None:
        yield _residuals(curves)
    if report.learning_curve:
        yield _learning(report.primary_metric, report.learning_curve)


def explanation_figures(explanation: Explanation) -> Iterator[Figure]:
    """The plots that say what the scores are made of."""
    shown = explanation.features[:TOP_FEATURES]
    yield Figure(
        "Contributions (SHAP)",
        bars("Mean absolute contribution of each column", [(one.column, one.shap, None) for one in shown]),
        f"Mean absolute contribution to the score, in {explanation.unit}; {explanation.rows:,} hold-out rows.",
    )
    permuted = [(one.column, one.permutation, one.permutation_sd) for one in shown if one.permutation is not None]
    if permuted:
        yield Figure(
            "Permutation importance",
            bars("Loss of the metric when a column is shuffled", permuted),
            "How much the primary metric loses when the column is shuffled, with the spread over three shuffles.",
        )


def dependence_figures(explanation: Explanation) -> Iterator[Figure]:
    """Contribution against value, column by column."""
    for one in explanation.dependence:
        drawn = _scatter(one, explanation) if one.kind == "numeric" else _by_value(one)
        if drawn is not None:
            yield Figure(one.column, drawn, "")


def _ranking(curves: Curves, positive: str) -> Iterator[Figure]:
    if curves.roc is not None:
        plot = Plot("ROC curve", UNIT, UNIT, "false positive rate", "true positive rate")
        plot.line([0, 1], [0, 1], "faint")
        plot.line(curves.roc.x, curves.roc.y)
        yield Figure("ROC", plot.draw(), f"How many {positive} are found, against how many others are taken for it.")
    if curves.precision_recall is not None and curves.base_rate is not None:
        plot = Plot("Precision against recall", UNIT, UNIT, "recall", "precision")
        plot.mark_y(curves.base_rate)
        plot.line(curves.precision_recall.x, curves.precision_recall.y)
        caption = f"Dashed: the share of {positive}, {curves.base_rate:.1%}, which a coin would reach."
        yield Figure("Precision and recall", plot.draw(), caption)


def _by_class(curves: Curves) -> Iterator[Figure]:
    if not curves.by_class:
        return
    key = Markup(" &ensp;").join(
        Markup('<span class="key k{}"></span>&nbsp;{}').format(number, one.name)
        for number, one in enumerate(curves.by_class)
    )
    roc = Plot("ROC curve of each class", UNIT, UNIT, "false positive rate", "true positive rate")
    roc.line([0, 1], [0, 1], "faint")
    precision = Plot("Precision against recall of each class", UNIT, UNIT, "recall", "precision")
    for number, one in enumerate(curves.by_class):
        roc.line(one.roc.x, one.roc.y, f"k{number}")
        precision.line(one.precision_recall.x, one.precision_recall.y, f"k{number}")
    yield Figure("ROC, each class against the rest", roc.draw(), key)
    yield Figure("Precision and recall, each class against the rest", precision.draw(), key)


def _calibration(curves: Curves, positive: str) -> Figure:
    plot = Plot("Calibration", UNIT, UNIT, "predicted probability", "observed share")
    plot.line([0, 1], [0, 1], "faint")
    for bin_ in curves.calibration:
        plot.whisker(bin_.predicted, bin_.low, bin_.high)
    plot.line([bin_.predicted for bin_ in curves.calibration], [bin_.observed for bin_ in curves.calibration])
    plot.dots([bin_.predicted for bin_ in curves.calibration], [bin_.observed for bin_ in curves.calibration])
    return Figure("Calibration", plot.draw(), f"On the diagonal the probability of {positive} means what it says.")


def _scores(report: Report) -> Figure:
    """Each class's own distribution, so that a rare class is seen as well."""
    totals = {name: sum(bar.counts[name] for bar in report.curves.scores) or 1.0 for name in report.classes}
    top = max(bar.counts[name] / totals[name] for bar in report.curves.scores for name in report.classes)
    positive = report.classes[1]
    plot = Plot("Distribution of the scores by class", UNIT, (0.0, top * 1.05 or 1.0),
                f"predicted probability of {positive}", "share of the class")  # fmt: skip
    for style, name in zip(("s2", "s1"), report.classes, strict=True):
        for bar in report.curves.scores:
            plot.bar(bar.low, bar.high, 0.0, bar.counts[name] / totals[name], f"{style} see-through")
    if report.threshold is not None:
        plot.mark_x(report.threshold, f"threshold {report.threshold:.3g}")
    caption = Markup('<span class="key s1"></span> {} &ensp;<span class="key s2"></span> {}').format(
        positive, report.classes[0]
    )
    return Figure("Scores", plot.draw(), caption)


def _cost(report: Report) -> Figure:
    cost = report.curves.cost
    assert cost is not None  # noqa: S101 - the caller has looked
    plot = Plot("Cost against the threshold", UNIT, (0.0, max(cost.cost) * 1.05 or 1.0), "threshold", "cost per row")
    plot.line(cost.threshold, cost.cost)
    if report.threshold is not None:
        plot.mark_x(report.threshold, "chosen")
    told = "both mistakes cost 1, for no costs were given" if cost.assumed else "by the cost matrix of the spec"
    return Figure("Cost of the threshold", plot.draw(), f"On the hold-out rows; {told}.")


def _residual_histogram(curves: Curves) -> Figure:
    shown = curves.scores
    top = max(bar.counts["residual"] for bar in shown)
    plot = Plot("Distribution of the residuals", (shown[0].low, shown[-1].high), (0.0, top * 1.05),
                "target minus prediction", "rows")  # fmt: skip
    for bar in shown:
        plot.bar(bar.low, bar.high, 0.0, bar.counts["residual"])
    plot.mark_x(0.0, "0")
    quantiles = curves.residuals.quantiles if curves.residuals else {}
    told = ", ".join(f"{level} {value:,.4g}" for level, value in quantiles.items())
    return Figure("Residuals", plot.draw(), f"Quantiles: {told}.")


def _residuals(curves: Curves) -> Figure:
    residuals = curves.residuals
    assert residuals is not None  # noqa: S101 - the caller has looked
    plot = Plot("Residual against prediction", _range(residuals.predicted), _range(residuals.residual),
                "prediction", "target minus prediction")  # fmt: skip
    plot.mark_y(0.0)
    plot.dots(residuals.predicted, residuals.residual, "s1 see-through", 2.2)
    return Figure("Residual by prediction", plot.draw(), "A slope or a funnel means that something is not modelled.")


def _learning(metric: str, points: list[LearningPoint]) -> Figure:
    rows = [float(point.rows) for point in points]
    values = [value for point in points for value in (point.train, point.test)]
    plot = Plot("Learning curve", (0.0, max(rows)), _range(values), "training rows", metric)
    for style, side in (("s2", [point.train for point in points]), ("s1", [point.test for point in points])):
        plot.line(rows, side, style)
        plot.dots(rows, side, style)
    caption = Markup('<span class="key s1"></span> hold-out rows &ensp;<span class="key s2"></span> training rows. '
                     "Where the first still gets better, more rows would help.")  # fmt: skip
    return Figure("Learning curve", plot.draw(), caption)


def _scatter(one: Dependence, explanation: Explanation) -> Markup | None:
    values = [float(value) for value in one.values]
    if not values:
        return None
    plot = Plot(f"Contribution against {one.column}", _range(values), _range(one.contributions), one.column,
                explanation.unit, height=210.0)  # fmt: skip
    plot.mark_y(0.0)
    plot.dots(values, one.contributions, "s1 see-through", 2.2)
    return plot.draw()


def _by_value(one: Dependence) -> Markup | None:
    rows = [(str(value), share, None) for value, share in zip(one.values, one.contributions, strict=True)]
    return bars(f"Mean contribution by value of {one.column}", rows) if rows else None


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
