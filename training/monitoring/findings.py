"""What a window's rows say, in words: which of them alarm, and how grave each is."""

from __future__ import annotations

from collections.abc import Iterator

from training.monitoring.results import Finding, MetricRow, WindowReport

GRAVE_SHARE = 0.2
"""A rise of failing values by so much of all rows is critical."""


def findings_of(window: WindowReport) -> list[Finding]:
    """All findings of a window, gravest first."""
    found = [*_performance(window), *_quality(window), *_drift(window)]
    return sorted(found, key=lambda finding: finding.severity != "critical")


def _performance(window: WindowReport) -> Iterator[Finding]:
    """A performance that is worse than chance explains is critical, whether it was measured or is estimated."""
    for row in window.realised:
        if row.alarm:
            yield _metric_finding("realised", row, f"over {window.labelled:,} outcomes")
    for row in window.estimated:
        if row.alarm:
            yield _metric_finding("estimated", row, "without outcomes")
    for gap in window.calibration:
        if gap.alarm:
            yield Finding(
                kind="calibration", subject=gap.output, severity="warning", value=gap.gap, threshold=0.0,
                message=f"{gap.output}: observed minus predicted is {gap.gap:+.4f} (p {gap.p_value:.1g})",
            )  # fmt: skip


def _metric_finding(kind: str, row: MetricRow, how: str) -> Finding:
    verb = "is" if kind == "realised" else "is estimated to be"
    return Finding.model_validate({
        "kind": kind, "subject": row.metric, "severity": "critical", "value": row.value, "threshold": row.threshold,
        "message": f"{row.metric} {verb} {row.value:.4f} {how}; it was {row.reference:.4f}, "
                   f"and chance explains down to or up to {row.threshold:.4f}",
    })  # fmt: skip


def _quality(window: WindowReport) -> Iterator[Finding]:
    words = {
        "missing": "values are missing", "unseen": "labels were never seen", "range": "numbers are out of range",
        "type": "values are of the wrong type",
    }  # fmt: skip
    for row in window.quality:
        if row.alarm:
            grave = row.share - row.reference >= GRAVE_SHARE
            yield Finding(
                kind="quality", subject=row.feature, severity="critical" if grave else "warning", value=row.share,
                threshold=row.reference,
                message=f"{row.feature}: {row.share:.1%} of the {words[row.check]}; it was {row.reference:.1%}",
            )  # fmt: skip


def _drift(window: WindowReport) -> Iterator[Finding]:
    for kind, rows in (("drift", window.drift), ("prediction", window.prediction)):
        for row in rows:
            if row.drifted:
                yield Finding.model_validate({
                    "kind": kind, "subject": row.column, "severity": "warning", "value": row.excess,
                    "threshold": row.threshold,
                    "message": f"{row.column} has drifted: {row.test} effect {row.effect:.3f} "
                               f"(q {row.q_value:.1g}, threshold {row.threshold:.3f} beyond noise)",
                })  # fmt: skip
    for both in window.multivariate:
        if both.drifted:
            yield Finding(
                kind="multivariate", subject=both.method, severity="warning", value=both.value,
                threshold=both.threshold,
                message=f"the features together have drifted: {both.method} {both.value:.3f}, "
                        f"threshold {both.threshold:.3f}",
            )  # fmt: skip
