"""Two versions side by side: metrics with the interval of their difference, and where they come from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.errors import NotFoundError
from training.evaluation import metrics_of, paired_difference
from training.evaluation.delong import delong_difference
from training.registry.files import TEST_ROWS, HoldOutScores
from training.registry.model import VersionInfo
from training.registry.rows import RowHashes, unseen
from training.registry.versions import read_file, seen_rows
from training.result import Interval, ResultModel

Positions = npt.NDArray[np.intp]
MIN_ROWS = 30
MAX_ROWS = 200_000


class MetricPair(ResultModel):
    """A metric of two versions."""

    a: Interval | None
    b: Interval | None
    """Each on the hold-out rows of its own job."""
    difference: Interval | None = None
    """Gain of b over a on the same rows, positive where b is better."""


class VersionComparison(ResultModel):
    """Version b against version a."""

    name: str
    a: str
    b: str
    rows: int
    """Hold-out rows of both on which neither was fitted; the differences are of these."""
    note: str = ""
    """Why there are no differences."""
    metrics: dict[str, MetricPair]
    facts: dict[str, dict[str, str | None]]
    """What differs in lineage, by name: {"a", "b"}."""


def versus(a: VersionInfo, b: VersionInfo) -> VersionComparison:
    """Compares two versions of a model by the scores that each keeps; no model is loaded and no data are read.

    Raises:
        UnavailableError: the artifact store is away.
    """
    rows, note = 0, ""
    differences: dict[str, Interval] = {}
    if a.task != b.task or a.task is None:
        note = f"version {a.version} is a model for {a.task}, version {b.version} for {b.task}"
    else:
        rows, note, differences = _differences(a, b, a.task)
    names = dict.fromkeys([*a.metrics, *b.metrics])
    return VersionComparison(
        name=a.name, a=a.version, b=b.version, rows=rows, note=note,
        metrics={name: MetricPair(a=a.metrics.get(name), b=b.metrics.get(name), difference=differences.get(name))
                 for name in names},
        facts=_facts(a, b),
    )  # fmt: skip


def _differences(a: VersionInfo, b: VersionInfo, task: str) -> tuple[int, str, dict[str, Interval]]:
    try:
        one, two = (HoldOutScores.from_bytes(read_file(info, TEST_ROWS)) for info in (a, b))
    except NotFoundError:
        return 0, "one of the versions keeps no scores of its hold-out rows", {}
    if one.scores.shape[1:] != two.scores.shape[1:]:
        return 0, "the versions know different classes", {}
    first, second = _common(one, two, [seen for seen in (seen_rows(a), seen_rows(b)) if seen is not None])
    if len(first) < MIN_ROWS:
        told = f"only {len(first)} hold-out rows are common to both and were fitted on by neither"
        return len(first), f"{told}; a comparison needs {MIN_ROWS}", {}
    target = one.target[first] if task == "regression" else one.target[first].astype(np.int64)
    weight = None if one.weight is None else one.weight[first]
    found = {}
    for metric in metrics_of(task):
        if metric == "roc_auc" and weight is None:
            codes = one.target[first].astype(np.int64)
            found[metric] = delong_difference(codes, two.scores[second][:, 1], one.scores[first][:, 1])
        else:
            found[metric] = paired_difference(task, metric, target, two.scores[second], one.scores[first], weight)
    return len(first), "", found


def _common(one: HoldOutScores, two: HoldOutScores, seen: list[RowHashes]) -> tuple[Positions, Positions]:
    """Positions of the rows that both held out: those whose hash occurs once in each, and that neither has seen."""
    values = np.intersect1d(_once(one.hashes), _once(two.hashes))
    for hashes in seen:
        values = values[unseen(values, hashes)]
    values = values[:MAX_ROWS]
    positions = []
    for scores in (one, two):
        order = np.argsort(scores.hashes, kind="stable")
        positions.append(order[np.searchsorted(scores.hashes, values, sorter=order)])
    return positions[0], positions[1]


def _once(hashes: RowHashes) -> RowHashes:
    values, counts = np.unique(hashes, return_counts=True)
    return np.asarray(values[counts == 1], np.uint64)


def _facts(a: VersionInfo, b: VersionInfo) -> dict[str, dict[str, str | None]]:
    pairs = {
        "job_id": (a.job_id, b.job_id), "data_sha256": (a.data_sha256, b.data_sha256),
        "code_version": (a.code_version, b.code_version), "created_at": (str(a.created_at), str(b.created_at)),
        **{key: (a.lineage.get(key), b.lineage.get(key)) for key in {**a.lineage, **b.lineage}},
    }  # fmt: skip
    return {name: {"a": one, "b": two} for name, (one, two) in pairs.items() if one != two}
