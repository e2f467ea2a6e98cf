"""A study for people: an HTML fragment with its plots, to be put into a page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from training.result import StudySummary, TrialRow
from training.tuning import svg
from training.tuning.objective import Goal, is_maximized

MAX_LINES = 100
"""Trials whose curves or coordinates are drawn; the best of them."""
SHOWN_TRIALS = 10


def study_fragment(summary: StudySummary, rows: Sequence[TrialRow], goal: Goal) -> str:
    """A section with the best configuration, optimisation history, importances, parallel coordinates, learning curves,
    and the best trials; self-contained, without scripts, every text escaped."""
    complete = [row for row in rows if row.status == "COMPLETE"]
    ranked = sorted(complete, key=lambda row: goal.rank(row.values), reverse=True)
    parts = [
        _facts(summary, goal),
        _history(rows, goal),
        _importances(summary),
        _coordinates(ranked[:MAX_LINES], goal),
        _curves(rows, summary.best.number),
        _front(complete, summary, goal),
        _table(ranked[:SHOWN_TRIALS], goal),
    ]
    return f'<section class="study"><h2>Search for hyperparameters</h2>{"".join(parts)}</section>'


def _facts(summary: StudySummary, goal: Goal) -> str:
    counts = ", ".join(f"{count} {status.lower()}" for status, count in summary.trials.items() if count)
    best, default = summary.best, summary.default
    gains = [
        f"{name}: {best.values[name]:.4g} in trial {best.number}"
        + (f", {default.values[name]:.4g} in the default configuration" if name in default.values else "")
        for name in goal.objectives
    ]
    ways = f"by {summary.searcher} and {summary.scheduler}; ended by {summary.ended_by}"
    sentences = [
        f"{counts} in {summary.spent_s:.0f} s, {ways}.",
        *(f"{gain}." for gain in gains),
        f"Best configuration: {json.dumps(best.params, default=str) if best.params else 'the default one'}.",
    ]
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _history(rows: Sequence[TrialRow], goal: Goal) -> str:
    name = goal.first
    points = [(float(row.number), row.values[name]) for row in rows if row.status == "COMPLETE"]
    if not points:
        return ""
    across, upwards = svg.scales(points)
    best, best_line = points[0][1], []
    for number, value in points:
        best = max(best, value) if is_maximized(name) else min(best, value)
        best_line.append((across(number), upwards(best)))
    best_line.append((across(across.high), best_line[-1][1]))
    body = svg.axes(across, upwards, "trial", name)
    body.append(svg.line(best_line, svg.WARM, steps=True))
    body += [svg.dot((across(x), upwards(y)), svg.FULL, f"trial {x:.0f}: {y:.5g}") for x, y in points]
    return svg.figure(f"Optimisation history: {name} of each trial, and the best so far", body)


def _importances(summary: StudySummary) -> str:
    if not summary.importances:
        return ""
    height, body = 24 * len(summary.importances) + 10, []
    room = svg.WIDTH - svg.RIGHT - 230
    for place, (name, share) in enumerate(summary.importances.items()):
        y = 24.0 * place + 8
        body.append(svg.bar((180, y), room * share, 14, svg.FULL))
        body += [svg.text((172, y + 11), name, "end"), svg.text((186 + room * share, y + 11), f"{share:.0%}", "start")]
    return svg.figure(f"Importance of the parameters for {summary.objectives[0]}", body, height=height)


def _coordinates(ranked: Sequence[TrialRow], goal: Goal) -> str:
    """One line for each trial across an axis for each parameter, the objective last; the best in another colour."""
    names = list(dict.fromkeys(name for row in ranked for name in row.params))
    drawn = [row for row in ranked if row.params]
    if len(drawn) < 2 or not names:
        return ""
    columns = [_column([row.params.get(name) for row in drawn]) for name in names]
    columns.append([row.values[goal.first] for row in drawn])
    across = svg.Scale(0, len(columns) - 1, svg.LEFT, svg.WIDTH - svg.RIGHT - 20)
    upwards = [
        svg.Scale.of([v for v in column if v is not None], svg.HEIGHT - svg.BOTTOM, svg.TOP) for column in columns
    ]
    body = []
    for place, name in enumerate([*names, goal.first]):
        x = across(place)
        body.append(svg.line([(x, svg.TOP), (x, svg.HEIGHT - svg.BOTTOM)], "#888", width=1.0))
        body.append(svg.text((x, svg.HEIGHT - svg.BOTTOM + (16 if place % 2 else 28)), name))
    for index in reversed(range(len(drawn))):
        points = [
            (across(place), upwards[place](value))
            for place, column in enumerate(columns)
            if (value := column[index]) is not None
        ]
        body.append(svg.line(points, svg.WARM if index == 0 else svg.FAINT, width=2.0 if index == 0 else 0.8))
    return svg.figure("Parallel coordinates of the trials; the best one in orange", body)


def _column(values: Sequence[Any]) -> list[float | None]:
    """Where values lie on an axis: numbers by their size, or its logarithm over orders of magnitude; others in turn."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        is_log = min(known) > 0 and max(known) / min(known) > 50
        return [None if v is None else math.log10(v) if is_log else float(v) for v in values]
    texts = sorted({json.dumps(value, default=str) for value in known})
    return [None if v is None else float(texts.index(json.dumps(v, default=str))) for v in values]


def _curves(rows: Sequence[TrialRow], best: int) -> str:
    drawn = [row for row in rows if len(row.curve) > 1][-MAX_LINES:]
    if not drawn:
        return ""
    across, upwards = svg.scales([(float(step), value) for row in drawn for step, value in row.curve])
    body = svg.axes(across, upwards, "round, epoch or fold", str(drawn[0].curve_metric))
    for row in sorted(drawn, key=lambda row: row.number == best):
        colour = svg.WARM if row.number == best else svg.FULL if row.status == "COMPLETE" else svg.FAINT
        body.append(svg.line([(across(step), upwards(value)) for step, value in row.curve], colour, width=1.0))
    return svg.figure("Learning curves: the best trial in orange, those that were ended early in grey", body)


def _front(complete: Sequence[TrialRow], summary: StudySummary, goal: Goal) -> str:
    if len(goal.objectives) < 2 or not complete:
        return ""
    first, second = goal.objectives[:2]
    across, upwards = svg.scales([(row.values[second], row.values[first]) for row in complete])
    front = {row.number for row in summary.pareto}
    body = svg.axes(across, upwards, second, first)
    body += [
        svg.dot(
            (across(row.values[second]), upwards(row.values[first])),
            svg.WARM if row.number in front else svg.FAINT,
            f"trial {row.number}: {row.values[first]:.5g}, {row.values[second]:.5g}",
        )
        for row in complete
    ]
    return svg.figure(f"{first} against {second}: the Pareto front in orange", body)


def _table(ranked: Sequence[TrialRow], goal: Goal) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("trial", *goal.objectives, "parameters"))
    lines = [
        f"<tr><td>{row.number}</td>"
        + "".join(f"<td>{row.values[name]:.5g}</td>" for name in goal.objectives)
        + f"<td>{escape(json.dumps(row.params, default=str))}</td></tr>"
        for row in ranked
    ]
    body = "".join(lines)
    return f"<table><caption>The best trials</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
