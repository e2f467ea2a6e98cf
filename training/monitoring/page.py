"""The report as one page for people: self-contained, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from training.monitoring.results import MetricRow, MonitorReport, WindowReport
from training.monitoring.svg import Line, plot

MAX_FEATURES = 12
"""Features that are plotted, those that have moved furthest."""
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 1rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-bottom: 0; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: #666; } .grid { stroke: #ddd; }
polyline { fill: none; stroke-width: 2; } .alarm { fill: #d9303022; }
.one polyline { stroke: #0b5394; } .one circle { fill: #0b5394; } span.one { color: #0b5394; }
.two polyline { stroke: #b45309; } .two circle { fill: #b45309; } span.two { color: #b45309; }
.bound polyline { stroke: #999; stroke-dasharray: 4 4; } span.bound { color: #777; }
.legend { margin: 0; font-size: .85rem; } .none { color: #777; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top; }
.critical { color: #b42318; font-weight: 600; } .warning { color: #93620a; }
@media (prefers-color-scheme: dark) { body { background: #18181b; color: #e4e4e7; } .grid { stroke: #3f3f46; }
  svg text { fill: #a1a1aa; } .one polyline { stroke: #7cb7f0; } .one circle { fill: #7cb7f0; }
  .critical { color: #ff8a80; } .warning { color: #f0c36d; } span.one { color: #7cb7f0; } }
"""


def render_page(report: MonitorReport) -> str:
    """The page."""
    title = f"{report.monitor}: {report.model['name']} version {report.model['version']}"
    body = "\n".join(_sections(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{body}</body></html>"
    )


def _sections(report: MonitorReport) -> Iterator[str]:
    windows, inflow = report.windows, report.inflow
    labels = [window.start.strftime("%Y-%m-%d") for window in windows]
    yield (
        f"<p>{inflow.predictions:,} predictions in {len(windows)} windows, {inflow.matched:,} with their outcome. "
        f"Made {report.generated_at:%Y-%m-%d %H:%M} UTC.</p>"
    )
    yield from _findings(windows)
    yield "<h2>Performance</h2>"
    primary = _primary(windows)
    if primary is not None:
        yield _performance(labels, windows, primary)
    yield "<h2>Drift of the features</h2>"
    yield from _drift(labels, windows)
    yield "<h2>Drift of the prediction</h2>"
    yield from _rows(labels, windows, "prediction")
    yield "<h2>All features together</h2>"
    yield from _multivariate(labels, windows)
    yield from _attribution(windows)
    yield from _slices(windows)
    yield from _table(report)


def _findings(windows: Sequence[WindowReport]) -> Iterator[str]:
    rows = [
        f'<tr><td>{window.start:%Y-%m-%d}</td><td class="{finding.severity}">{finding.severity}</td>'
        f"<td>{escape(finding.message)}</td></tr>"
        for window in reversed(windows)
        for finding in window.findings
    ]
    yield "<h2>Alarms</h2>"
    if rows:
        yield f'<div class="scroll"><table>{"".join(rows[:100])}</table></div>'
    else:
        yield "<p>None.</p>"


def _primary(windows: Sequence[WindowReport]) -> str | None:
    return next((row.metric for window in windows for row in window.estimated or window.realised), None)


def _row(rows: Sequence[MetricRow], metric: str) -> MetricRow | None:
    return next((row for row in rows if row.metric == metric), None)


def _performance(labels: Sequence[str], windows: Sequence[WindowReport], metric: str) -> str:
    estimated = [_row(window.estimated, metric) for window in windows]
    realised = [_row(window.realised, metric) for window in windows]
    lines = [
        Line("estimated without outcomes", [row.value if row else None for row in estimated], "one"),
        Line("realised", [row.value if row else None for row in realised], "two"),
        Line("alarm bound of the estimate", [row.threshold if row else None for row in estimated], "bound"),
    ]
    alarms = [any(row is not None and row.alarm for row in pair) for pair in zip(estimated, realised, strict=True)]
    return f"<h3>{escape(metric)}</h3>{plot(labels, lines, alarms)}"


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
        f"<tr><td>{escape(row.feature)}</td><td>{row.share:.0%}</td><td>{row.effect:.3f}</td></tr>"
        for row in newest.attribution
    )
    yield f"<table><tr><th>feature</th><th>share</th><th>effect beyond noise</th></tr>{rows}</table>"


def _slices(windows: Sequence[WindowReport]) -> Iterator[str]:
    newest = next((window for window in reversed(windows) if window.slices), None)
    if newest is None:
        return
    yield f"<h2>By slice, in the window from {newest.start:%Y-%m-%d}</h2>"
    rows = "".join(
        f"<tr><td>{escape(row.column)} = {escape(row.value)}</td><td>{row.rows:,}</td>"
        f"<td>{_shown(row.estimated)}</td><td>{_shown(row.realised)}</td></tr>"
        for row in newest.slices
    )
    heads = "<tr><th>slice</th><th>rows</th><th>estimated</th><th>realised</th></tr>"
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'


def _table(report: MonitorReport) -> Iterator[str]:
    yield "<h2>Windows</h2>"
    rows = "".join(
        f"<tr><td>{window.start:%Y-%m-%d %H:%M}</td><td>{window.rows:,}</td><td>{window.labelled:,}</td>"
        f"<td>{window.state}</td><td>{len(window.findings)}</td></tr>"
        for window in report.windows
    )
    heads = "<tr><th>start</th><th>rows</th><th>outcomes</th><th>state</th><th>alarms</th></tr>"
    yield f'<div class="scroll"><table>{heads}{rows}</table></div>'
    yield "<h2>To be read with it</h2>"
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in report.notes) + "</ul>"


def _shown(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
