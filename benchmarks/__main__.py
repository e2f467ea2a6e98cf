"""All benchmarks, or those named: python -m benchmarks [small_jobs first_line reads long_fit …]."""

from __future__ import annotations

import sys

from benchmarks import (
    active_learning,
    data,
    distributed,
    evaluation,
    first_line,
    long_fit,
    monitoring,
    reads,
    risk_service,
    small_jobs,
    tuning,
)
from benchmarks.report import show

BENCHMARKS = {
    "small_jobs": small_jobs.rows,
    "first_line": first_line.rows,
    "reads": reads.rows,
    "long_fit": long_fit.rows,
    "tuning": tuning.rows,
    "distributed": distributed.rows,
    "data": data.rows,
    "evaluation": evaluation.rows,
    "risk_service": risk_service.rows,
    "active_learning": active_learning.rows,
    "monitoring": monitoring.rows,
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(BENCHMARKS)
    show([row for name in wanted for row in BENCHMARKS[name]()])
