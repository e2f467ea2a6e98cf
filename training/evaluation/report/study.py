"""The search for hyperparameters as a part of the report: its plots and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from training.evaluation.report.figure import Figure
from training.evaluation.report.model import Study
from training.evaluation.report.parallel import Axis, parallel_coordinates
from training.evaluation.report.svg import Plot, bars
from training.result import StudySummary, TrialRow

MAX_DRAWN = 100
"""Trials whose coordinates and curves are drawn; the best of them."""
MAX_KEPT = 1000
"""Trials that the report keeps; of more, the best, and of the others some that are evenly spread."""
MARGIN = 0.05
"""Of the range of the values, above and below them."""


def study_of(summary: StudySummary, ranked: Sequence[TrialRow], others: Sequence[TrialRow], maximized: bool) -> Study:  # noqa: FBT001
    """What the report keeps of a search.

    Args:
        summary: what it found.
        ranked: complete trials, the best first.
        others: those that were ended early or failed.
        maximized: whether more of the first objective is better.
    """
    best, rest = list(ranked[:MAX_DRAWN]), [*ranked[MAX_DRAWN:], *others]
    stride = max(1, -(-len(rest) // (MAX_KEPT - MAX_DRAWN)))
    curves = {row.number for row in (*best[: MAX_DRAWN // 2], *others[-MAX_DRAWN // 2 :])}
    kept = [row if row.number in curves else row.model_copy(update={"curve": []}) for row in (*best, *rest[::stride])]
    return Study(summary=summary, maximized=maximized, trials=sorted(kept, key=lambda row: row.number))


def study_figures(study: Study) -> Iterator[Figure]:
    """Optimisation history, importances, learning curves, the Pareto front, parallel coordinates."""
    complete = [row for row in study.trials if row.status == "COMPLETE"]
    if not complete:
        return
    yield _history(study, complete)
    if study.summary.importances:
        yield _importances(study.summary)
    yield from _curves(study)
    if len(study.summary.objectives) > 1:
        yield _front(study.summary, complete)
    yield from _coordinates(study, complete)


def study_sentences(study: Study) -> Iterator[str]:
    """What was searched, how it ended, and what it gained."""
    summary = study.summary
    counts = ", ".join(f"{count} {status.lower()}" for status, count in summary.trials.items() if count)
    yield (
        f"Trials: {counts}, in {summary.spent_s:,.0f} s, by {summary.searcher} with the scheduler {summary.scheduler}; "
        f"ended by {summary.ended_by}."
    )
    for name in summary.objectives:
        gain = f"{name}: {summary.best.values[name]:.5g} in trial {summary.best.number}"
        default = summary.default.values.get(name)
        yield f"{gain}." if default is None else f"{gain}, {default:.5g} with the default configuration."
    params = json.dumps(summary.best.params, default=str) if summary.best.params else "the default one"
    yield f"Best configuration: {params}."


def best_trials(study: Study, count: int = 10) -> list[TrialRow]:
    """Complete trials, those that keep the constraints and the best of them first."""
    return _ranked(study, [row for row in study.trials if row.status == "COMPLETE"])[:count]


def _ranked(study: Study, rows: Sequence[TrialRow]) -> list[TrialRow]:
    first, sign = study.summary.objectives[0], 1.0 if study.maximized else -1.0
    return sorted(rows, key=lambda row: (row.feasible, sign * row.values[first]), reverse=True)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or 0.5
    return low - margin, high + margin


def _history(study: Study, complete: Sequence[TrialRow]) -> Figure:
    name = study.summary.objectives[0]
    values = [row.values[name] for row in complete]
    last = float(max(row.number for row in study.trials))
    plot = Plot("Optimisation history", (0.0, last or 1.0), _bounds(values), "trial", name)
    xs: list[float] = []
    ys: list[float] = []
    for row in complete:
        value = row.values[name]
        best = ys[-1] if ys else value
        if row.feasible:
            best = max(best, value) if study.maximized else min(best, value)
        xs += [float(row.number), float(row.number)] if ys else [float(row.number)]
        ys += [ys[-1], best] if ys else [best]
    plot.line([*xs, last], [*ys, ys[-1]], "s2")
    plot.dots([float(row.number) for row in complete], values)
    return Figure("Optimisation history", plot.draw(), f"{name} of each trial; the line is the best so far.")


def _importances(summary: StudySummary) -> Figure:
    rows = [(name, share, None) for name, share in summary.importances.items()]
    caption = f"Share of the variance of {summary.objectives[0]} over the space that each parameter explains (fANOVA)."
    return Figure("Importance of the parameters", bars("Importance of the parameters", rows), caption)


def _curves(study: Study) -> Iterator[Figure]:
    drawn = [row for row in study.trials if len(row.curve) > 1]
    if not drawn:
        return
    points = [point for row in drawn for point in row.curve]
    values = sorted(value for _, value in points)
    # a first round far from all others would press the curves together
    least, greatest = values[len(values) // 50], values[-1 - len(values) // 50]
    bounds = _bounds([least, greatest])
    plot = Plot("Learning curves", (0.0, float(max(step for step, _ in points))), bounds, "round, epoch or fold",
                str(drawn[0].curve_metric))  # fmt: skip
    best = study.summary.best.number
    for row in sorted(drawn, key=lambda row: (row.number == best, row.status == "COMPLETE")):
        inside = [(step, value) for step, value in row.curve if bounds[0] <= value <= bounds[1]]
        style = "s2" if row.number == best else "s1 thin" if row.status == "COMPLETE" else "faint"
        if len(inside) > 1:
            plot.line([float(step) for step, _ in inside], [value for _, value in inside], style)
    caption = "Orange: the best trial. Dashed: trials that were ended early."
    yield Figure("Learning curves of the trials", plot.draw(), caption)


def _front(summary: StudySummary, complete: Sequence[TrialRow]) -> Figure:
    first, second = summary.objectives[:2]
    front = {row.number for row in summary.pareto}
    across, upwards = ([row.values[name] for row in complete] for name in (second, first))
    plot = Plot("Pareto front", _bounds(across), _bounds(upwards), second, first)
    for style, wanted in (("s1", False), ("s2", True)):
        rows = [row for row in complete if (row.number in front) is wanted]
        plot.dots([row.values[second] for row in rows], [row.values[first] for row in rows], style)
    return Figure(f"{first} against {second}", plot.draw(), "Orange: no other trial is better in all objectives.")


def _coordinates(study: Study, complete: Sequence[TrialRow]) -> Iterator[Figure]:
    drawn = [row for row in _ranked(study, complete)[:MAX_DRAWN] if row.params]
    names = list(dict.fromkeys(name for row in drawn for name in row.params))
    if len(drawn) < 2 or not names:
        return
    axes = [Axis.of(name, [row.params.get(name) for row in drawn]) for name in names]
    first = study.summary.objectives[0]
    axes.append(Axis.of(first, [row.values[first] for row in drawn]))
    svg = parallel_coordinates("Parallel coordinates of the trials", axes)
    yield Figure("Parallel coordinates", svg, "One line for each trial, the best one in orange.", is_wide=True)
