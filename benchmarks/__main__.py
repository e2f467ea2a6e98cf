"""All benchmarks, or those named: python -m benchmarks [small_jobs first_line reads long_fit …].

Some can be run in parts: python -m benchmarks tuning.speed tuning.asha:0,1 accuracy.german_credit:auto,tabm
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks import (
    accuracy,
    active_learning,
    data,
    distributed,
    evaluation,
    first_line,
    long_fit,
    monitoring,
    monitoring_http,
    prediction,
    reads,
    risk_service,
    small_jobs,
    tuning,
)
from benchmarks.report import Row, show

BENCHMARKS = {
    "small_jobs": small_jobs.rows,
    "first_line": first_line.rows,
    "reads": reads.rows,
    "long_fit": long_fit.rows,
    "tuning": tuning.rows,
    "distributed": distributed.rows,
    "data": data.rows,
    "evaluation": evaluation.rows,
    "prediction": prediction.rows,
    "risk_service": risk_service.rows,
    "active_learning": active_learning.rows,
    "monitoring": monitoring.rows,
    "monitoring_http": monitoring_http.rows,
}

PARTS: Mapping[str, Mapping[str, Callable[..., list[Row]]]] = {
    "tuning": tuning.PARTS,
    "data": data.PARTS,
    "prediction": {label: partial(prediction.rows, label) for label in prediction.MODELS},
    "accuracy": accuracy.PARTS,
}
"""`accuracy` is not among all benchmarks: it takes long, and needs data that are no part of the project."""


def measured(name: str) -> list[Row]:
    """A benchmark, or the part of it that is named after a dot, with its arguments after a colon."""
    benchmark, _, part = name.partition(".")
    if not part and benchmark in BENCHMARKS:
        return BENCHMARKS[benchmark]()
    if not part:
        return [row for one in PARTS[benchmark].values() for row in one()]
    what, _, arguments = part.partition(":")
    return PARTS[benchmark][what](*filter(None, arguments.split(",")))


def known() -> list[str]:
    """What can be asked for."""
    return [*BENCHMARKS, *(f"{name}.{part}" for name, parts in PARTS.items() for part in parts), *PARTS]


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in wanted if name.partition(":")[0] not in known()]:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(sorted(set(known())))}")
    show([row for name in wanted for row in measured(name)])
