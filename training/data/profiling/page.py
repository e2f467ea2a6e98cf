"""The report about a job's data as one page of HTML: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from training.data.profiling.columns import ColumnProfile
from training.data.profiling.report import DataReport
from training.result import Finding

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .8rem .3rem 0;
  vertical-align: top; border-bottom: 1px solid #e4e4e7; } svg { display: block; } rect { fill: #3b82f6; }
.error { color: #b91c1c; font-weight: 600; } .warning { color: #b45309; } .info { color: #6b7280; }
td.number { font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { background: #18181b; color: #e4e4e7; } td, th { border-color: #3f3f46; } }
"""
_WIDTH, _HEIGHT = 160, 36


def page(report: DataReport) -> str:
    """The page."""
    facts = [
        ("from", report.uri), ("snapshot", report.snapshot), ("sha256", report.sha256),
        ("rows", f"{report.rows:,}: {report.train_rows:,} + {report.validation_rows:,} + {report.test_rows:,}"),
        ("split", report.split), ("target", f"{report.target} ({report.task})"), ("read at", report.time),
    ]  # fmt: skip
    listed = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    columns = "".join(_column(column) for column in report.columns)
    names = ("column", "type", "role", "missing", "distinct", "values", "predicts alone")
    head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Data of {escape(report.job_id)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>Data of {escape(report.job_id)}</h1><table>{listed}</table>"
        f"<h2>Findings</h2>{_findings(report.findings)}<h2>Columns</h2><table>{head}{columns}</table></body></html>"
    )


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>None.</p>"
    rows = "".join(
        f'<tr><td class="{one.severity}">{one.severity}</td><td>{escape(one.check)}</td><td>{escape(one.evidence)}</td>'
        f"<td>{escape(one.remedy)}</td></tr>"
        for one in findings
    )
    return f"<table>{rows}</table>"


def _column(column: ColumnProfile) -> str:
    relation = "" if column.relation is None else f"{column.relation:.3f}"
    cells = [column.kind, column.role, f"{column.missing_share:.1%}", f"{column.unique:,}"]
    plain = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
    return f"<tr><td>{escape(column.name)}</td>{plain}<td>{_values(column)}</td><td class=number>{relation}</td></tr>"


def _values(column: ColumnProfile) -> str:
    if column.histogram is not None:
        ends = f"{_shown(column.min)} … {_shown(column.max)}"
        return f"{_bars(column.histogram.counts)}<small>{escape(ends)}</small>"
    names = ", ".join(f"{top.value} ({top.rows:,})" for top in column.top_values)
    return (_bars([top.rows for top in column.top_values]) if names else "") + f"<small>{escape(names)}</small>"


def _bars(counts: Sequence[int]) -> str:
    most, width = max([1, *counts]), _WIDTH / max(1, len(counts))
    bars = "".join(
        f'<rect x="{place * width:.1f}" y="{_HEIGHT * (1 - count / most):.1f}" width="{max(1.0, width - 1):.1f}" '
        f'height="{_HEIGHT * count / most:.1f}"/>'
        for place, count in enumerate(counts)
    )
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="distribution">{bars}</svg>'


def _shown(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value or "")
