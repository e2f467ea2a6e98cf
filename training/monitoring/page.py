"""The report as one page for people: self-contained, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from training.monitoring.results import MetricRow, MonitorReport, WindowReport
from training.monitoring.svg import Line, plot

MAX_FEATURES = 12
"""Features that are plotted, those that have moved furthest."""
INTERVAL_NOTE = "The area holds the realised value of a window with a chance of 95 %, if the estimate is right."
DRIFT_NOTE = (
    "A window alarms, and is marked, where the effect lies beyond its threshold and chance does not explain it either: "
    "the q-value, over all columns of the window, has to be small too."
)
MAX_ALARMS = 100
CSP = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing but its own style."""
STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --faint: #666; --grid: #ddd; --one: #0b5394;
  --two: #b45309; --critical: #b42318; --warning: #93620a; --alarm: #d9303022; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e7; --page: #18181b; --faint: #a1a1aa; --grid: #3f3f46;
  --one: #7cb7f0; --two: #f5a65b; --critical: #ff8a80; --warning: #f0c36d; --alarm: #ff6b6b33; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 1rem auto; padding: 0 1rem;
  color: var(--text); background: var(--page); overflow-wrap: break-word; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
svg { display: block; width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--faint); }
.grid { stroke: var(--grid); } polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.alarm { fill: var(--alarm); } polygon { fill-opacity: .15; }
.one polyline { stroke: var(--one); } .one circle, .one polygon { fill: var(--one); } span.one { color: var(--one); }
.two polyline { stroke: var(--two); } .two circle, .two polygon { fill: var(--two); } span.two { color: var(--two); }
.bound polyline { stroke: var(--faint); stroke-dasharray: 4 4; } span.bound { color: var(--faint); }
.legend { margin: 0; font-size: .85rem; } .legend span { margin-right: 1rem; } .none { color: var(--faint); }
span.mark { background: var(--alarm); padding: 0 .3rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
tr + tr td { border-top: 1px solid var(--grid); }
td:first-child, .number { white-space: nowrap; } th.number, td.number { text-align: right; }
.critical { color: var(--critical); font-weight: 600; } .warning { color: var(--warning); }
@media (max-width: 30rem) { svg text { font-size: 19px; } td, th { padding-right: .5rem; } }
"""


def render_page(report: MonitorReport) -> str:
    """The page."""
    title = f"{report.monitor}: {report.model['name']} version {report.model['version']}"
    body = "\n".join(_sections(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{body}</body></html>"
    )


def _sections(report: MonitorReport) -> Iterator[str]:
    windows, inflow = report.windows, report.inflow
    labels = _labels(windows)
    yield (
        f"<p>{inflow.predictions:,} predictions in {len(windows)} windows, {inflow.matched:,} with their outcome. "
        f"Made {report.generated_at:%Y-%m-%d %H:%M} UTC.</p>"
    )
    yield _verdict(windows)
    yield from _findings(windows)
    yield "<h2>Performance</h2>"
    primary = _primary(windows)
    if primary is not None:
        yield _performance(labels, windows, primary)
    yield from _calibration(labels, windows)
    yield from _quality(windows)
    yield f"<h2>Drift of the features</h2><p>{DRIFT_NOTE}</p>"
    yield from _drift(labels, windows)
    yield "<h2>Drift of the prediction</h2>"
    yield from _rows(labels, windows, "prediction")
    yield "<h2>All features together</h2>"
    yield from _multivariate(labels, windows)
    yield from _attribution(windows)
    yield from _slices(windows)
    yield from _table(report)


def _labels(windows: Sequence[WindowReport]) -> list[str]:
    """Days, or times of day where windows are shorter."""
    starts = [window.start for window in windows]
    short = len({start.date() for start in starts}) < len(starts)
    return [start.strftime("%m-%d %H:%M" if short else "%Y-%m-%d") for start in starts]


def _verdict(windows: Sequence[WindowReport]) -> str:
    judged = [window for window in windows if window.state == "judged"]
    if not judged:
        return "<p>No window can be judged yet.</p>"
    alarmed = sum(bool(window.findings) for window in judged)
    newest = judged[-1]
    grave = next((finding.severity for finding in newest.findings), None)
    words = f"{len(newest.findings)} alarms" if grave else "no alarm"
    return (
        f'<p>The newest judged window, from {newest.start:%Y-%m-%d %H:%M}: <span class="{grave or "none"}">{words}'
        f"</span>. {alarmed} of {len(judged)} judged windows raised alarms.</p>"
    )


def _findings(windows: Sequence[WindowReport]) -> Iterator[str]:
    rows = [
        f'<tr><td>{window.start:%Y-%m-%d}</td><td class="{finding.severity}">{finding.severity}</td>'
        f"<td>{escape(finding.message)}</td></tr>"
        for window in reversed(windows)
        for finding in window.findings
    ]
    yield "<h2>Alarms</h2>"
    if rows:
        heads = "<tr><th>window</th><th>severity</th><th>what</th></tr>"
        yield f'<div class="scroll"><table>{heads}{"".join(rows[:MAX_ALARMS])}</table></div>'
    else:
        yield "<p>None.</p>"
    if len(rows) > MAX_ALARMS:
        yield f"<p>{len(rows) - MAX_ALARMS:,} older ones are in the JSON report.</p>"


def _quality(windows: Sequence[WindowReport]) -> Iterator[str]:
    newest = next((window for window in reversed(windows) if window.rows), None)
    yield "<h2>Data quality</h2>"
    if newest is None or not newest.quality:
        yield '<p class="none">Nothing is missing, unseen, out of range or of a wrong type.</p>'
        return
    rows = "".join(
        f'<tr><td>{escape(row.feature)}</td><td>{row.check}</td><td class="number">{row.share:.2%}</td>'
        f'<td class="number">{row.reference:.2%}</td><td class="critical">{"alarm" if row.alarm else ""}</td></tr>'
        for row in newest.quality
    )
    heads = (
        '<tr><th>feature</th><th>check</th><th class="number">share</th><th class="number">before</th><th></th></tr>'
    )
    yield f"<p>In the window from {newest.start:%Y-%m-%d %H:%M}:</p>"
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'


def _calibration(labels: Sequence[str], windows: Sequence[WindowReport]) -> Iterator[str]:
    for output in dict.fromkeys(row.output for window in windows for row in window.calibration):
        rows = [next((row for row in window.calibration if row.output == output), None) for window in windows]
        gaps = [row.gap if row else None for row in rows]
        line = Line("observed minus predicted", gaps, "two", [(row.low, row.high) if row else None for row in rows])
        alarms = [row is not None and row.alarm for row in rows]
        yield f"<h3>Calibration of {escape(output)}</h3>{plot(labels, [line], alarms, bounds=[0.0])}"


def _primary(windows: Sequence[WindowReport]) -> str | None:
    return next((row.metric for window in windows for row in window.estimated or window.realised), None)


def _row(rows: Sequence[MetricRow], metric: str) -> MetricRow | None:
    return next((row for row in rows if row.metric == metric), None)


def _performance(labels: Sequence[str], windows: Sequence[WindowReport], metric: str) -> str:
    estimated = [_row(window.estimated, metric) for window in windows]
    realised = [_row(window.realised, metric) for window in windows]
    lines = [
        Line(
            "estimated without outcomes",
            [row.value if row else None for row in estimated],
            "one",
            [_interval(row) for row in estimated],
        ),
        Line("realised", [row.value if row else None for row in realised], "two"),
        Line("alarm bound of the estimate", [row.threshold if row else None for row in estimated], "bound"),
    ]
    alarms = [any(row is not None and row.alarm for row in pair) for pair in zip(estimated, realised, strict=True)]
    return f"<h3>{escape(metric)}</h3>{plot(labels, lines, alarms)}<p class=legend>{INTERVAL_NOTE}</p>"


def _interval(row: MetricRow | None) -> tuple[float, float] | None:
    return None if row is None or row.low is None or row.high is None else (row.low, row.high)


def _drift(labels: Sequence[str], windows: Sequence[WindowReport]) -> Iterator[str]:
    yield from _rows(labels, windows, "drift")


def _rows(labels: Sequence[str], windows: Sequence[WindowReport], part: str) -> Iterator[str]:
    by_window = [{(row.column, row.test): row for row in getattr(window, part)} for window in windows]
    keys = list(dict.fromkeys(key for rows in by_window for key in rows))
    keys.sort(key=lambda key: -max(rows[key].excess / rows[key].threshold for rows in by_window if key in rows))
    if not keys:
        yield '<p class="none">nothing to plot yet</p>'
    for column, test in keys[:MAX_FEATURES]:
        rows = [found.get((column, test)) for found in by_window]
        lines = [
            Line(f"effect beyond noise ({test})", [row.excess if row else None for row in rows], "one"),
            Line("threshold", [row.threshold if row else None for row in rows], "bound"),
        ]
        alarms = [row is not None and row.drifted for row in rows]
        yield f"<h3>{escape(column)}</h3>{plot(labels, lines, alarms, bounds=[0.0])}"
    if len(keys) > MAX_FEATURES:
        yield f"<p>{len(keys) - MAX_FEATURES} more have moved less; the JSON report has them.</p>"


def _multivariate(labels: Sequence[str], windows: Sequence[WindowReport]) -> Iterator[str]:
    for method in ("domain_classifier", "pca_reconstruction"):
        rows = [next((row for row in window.multivariate if row.method == method), None) for window in windows]
        if not any(rows):
            continue
        lines = [
            Line(method.replace("_", " "), [row.value if row else None for row in rows], "one"),
            Line("threshold", [row.threshold if row else None for row in rows], "bound"),
        ]
        yield f"<h3>{method.replace('_', ' ')}</h3>{plot(labels, lines, [bool(row and row.drifted) for row in rows])}"


def _attribution(windows: Sequence[WindowReport]) -> Iterator[str]:
    newest = next((window for window in reversed(windows) if window.attribution), None)
    if newest is None:
        return
    yield f"<h2>What explains the change in the window from {newest.start:%Y-%m-%d}</h2>"
    rows = "".join(
        f'<tr><td>{escape(row.feature)}</td><td class="number">{row.share:.0%}</td>'
        f'<td class="number">{row.effect:.3f}</td></tr>'
        for row in newest.attribution
    )
    heads = '<tr><th>feature</th><th class="number">share</th><th class="number">effect beyond noise</th></tr>'
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'


def _slices(windows: Sequence[WindowReport]) -> Iterator[str]:
    newest = next((window for window in reversed(windows) if window.slices), None)
    if newest is None:
        return
    yield f"<h2>By slice, in the window from {newest.start:%Y-%m-%d}</h2>"
    rows = "".join(
        f'<tr><td>{escape(row.column)} = {escape(row.value)}</td><td class="number">{row.rows:,}</td>'
        f'<td class="number">{_shown(row.estimated)}</td><td class="number">{_shown(row.realised)}</td></tr>'
        for row in newest.slices
    )
    metric = next((name for row in newest.slices for name in (*row.estimated, *row.realised)), "")
    names = ("rows", f"{metric} estimated", "realised")
    heads = "<tr><th>slice</th>" + "".join(f'<th class="number">{escape(name)}</th>' for name in names) + "</tr>"
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'


def _table(report: MonitorReport) -> Iterator[str]:
    yield "<h2>Windows</h2>"
    rows = "".join(
        f'<tr><td>{window.start:%Y-%m-%d %H:%M}</td><td class="number">{window.rows:,}</td>'
        f'<td class="number">{window.labelled:,}</td><td>{window.state}</td>'
        f'<td class="number">{len(window.findings)}</td></tr>'
        for window in reversed(report.windows)
    )
    heads = (
        '<tr><th>start</th><th class="number">rows</th><th class="number">outcomes</th><th>state</th>'
        '<th class="number">alarms</th></tr>'
    )
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'
    yield "<h2>To be read with it</h2>"
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report.notes) + "</ul>"


def _shown(metrics: dict[str, float]) -> str:
    return ", ".join(f"{value:.4f}" for value in metrics.values())
