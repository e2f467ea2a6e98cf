"""Labelling in the terminal: rows are shown one at a time, or answered from a file that knows."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import typer

from ray_app.cli.output import err, out, print_fields, print_line, print_table, shown_number
from ray_app.client import MtsClient
from ray_app.jobs.pools.model import PoolItem
from ray_app.services.active_learning import Batch
from ray_app.services.pool_report import PoolInfo

WAIT_S = 30.0
BATCH = 100
"""Rows that a file answers at once."""


class Answering(Protocol):
    """Whoever knows the labels."""

    size: int
    """Rows to ask for at once."""

    def answer(self, batch: Batch, items: list[PoolItem]) -> list[dict[str, Any]] | None:
        """What to say of the rows; None to stop."""


@dataclass
class Oracle:
    """Knows every label: for trying out, and for tests."""

    labels: Mapping[str, str]
    size: int = BATCH

    @classmethod
    def of(cls, path: Path, pool: PoolInfo) -> Oracle:
        """Reads the target's column of a CSV file; rows are known by the pool's ids.

        Raises:
            BadParameter: no such file or column.
        """
        data = pool.spec["data"]
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            labels = {
                row[data["id_column"]] if data["id_column"] else str(number): row[data["target"]]
                for number, row in enumerate(rows)
            }
        except OSError as error:
            raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--answers") from None
        except KeyError as error:
            raise typer.BadParameter(f"{path} has no column {error}", param_hint="--answers") from None
        return cls(labels)

    def answer(self, batch: Batch, items: list[PoolItem]) -> list[dict[str, Any]] | None:
        """Labels for all; a row that the file lacks is skipped."""
        return [_entry(item, self.labels.get(item.id), batch) for item in items]


@dataclass
class Person:
    """Sees one row after the other."""

    pool: PoolInfo
    size: int = 10
    _before: list[PoolItem] = field(default_factory=list)

    def answer(self, batch: Batch, items: list[PoolItem]) -> list[dict[str, Any]] | None:
        """What was typed for the first row; `b` shows the row before once more."""
        item = items[0]
        while True:
            _show_row(item, batch)
            typed = typer.prompt("label", default="", show_default=False).strip()
            if typed == "q":
                return None
            if typed == "b":
                if self._before:
                    item = self._before.pop()
                continue
            if typed == "s":
                self._before.append(item)
                return [{"id": item.id, "verdict": "skip"}]
            unsure, label = typed.startswith("u"), typed.removeprefix("u").strip()
            if label.isdigit() and 1 <= int(label) <= len(batch.classes):
                label = batch.classes[int(label) - 1]
            if label in batch.classes or (not batch.classes and _is_number(label)):
                self._before.append(item)
                entry = _entry(item, label, batch)
                return [entry | {"verdict": "unsure"} if unsure else entry]
            err.print("the number of a label, s skip, u and a label unsure, b back, q quit", markup=False)


def find_pool(client: MtsClient, name: str) -> PoolInfo:
    """The pool with that id, or the newest one of the model.

    Raises:
        MtsApiError: no pool has the id.
        BadParameter: no pool has the name.
    """
    if name.startswith("pool_"):
        return client.pools.get(name)
    found = next((pool for pool in client.pools.all() if pool.name == name), None)
    if found is None:
        raise typer.BadParameter(f"no pool of a model {name!r}; mts label list", param_hint="POOL")
    return found


def label_rows(
    client: MtsClient, pool: PoolInfo, source: Answering, *, labeller: str | None, limit: int | None
) -> PoolInfo:  # fmt: skip
    """Labels rows until there are none, the source stops, or `limit` labels are given; the pool afterwards."""
    given = 0
    while limit is None or given < limit:
        size = source.size if limit is None else min(source.size, limit - given)
        batch = client.pools.query(pool.id, labeller=labeller, size=size, wait_s=WAIT_S)
        if not batch.items:
            err.print(batch.reason or "no rows wait", markup=False)
            break
        answers = source.answer(batch, list(batch.items))
        if answers is None:
            break
        answered = client.pools.label(pool.id, answers, labeller=labeller)
        given += answered.stored
        counts = answered.pool.counts
        err.print(
            f"{counts.train_labelled} labels, test set {counts.test_labelled} of {counts.test_total}", markup=False
        )
    return client.pools.get(pool.id)


def show_pool(pool: PoolInfo, url: str) -> None:
    """Prints how far a pool is and what its labels have brought."""
    counts, evidence = pool.counts, pool.evidence
    print_fields([
        ("id", pool.id), ("status", pool.status), ("model", pool.model and f"{pool.name} {pool.model['version']}"),
        ("labels", f"{counts.active_labelled} active, {counts.random_labelled} random"),
        ("test set", f"{counts.test_labelled} of {counts.test_total}"), ("waiting", counts.queued),
        ("skipped", counts.skipped or None), ("disputed", counts.disputed or None), ("problem", pool.problem),
        ("page", url + pool.links["page"]),
    ])  # fmt: skip
    if evidence.metric is not None:
        rows = [
            (arm, point.labels, shown_number(point.value), f"[{shown_number(point.low)}, {shown_number(point.high)}]")
            for arm, curve in evidence.curves.items()
            for point in curve
        ]
        print_table(("ARM", "LABELS", evidence.metric.upper(), "INTERVAL"), rows)
        saved = evidence.labels_saved or {}
        if saved.get("saved") is not None:
            less, figure = saved["saved"], "the random arm's newest figure"
            print_line(
                f"labels saved to reach {figure}: {less}"
                if less >= 0
                else f"{figure} took {-less} more labels of the strategy than random ones"
            )
    print_line(("stop: " if evidence.stop else "go on: ") + "; ".join(evidence.reasons))


def _show_row(item: PoolItem, batch: Batch) -> None:
    why = {"test": "test set", "random": "random control"}.get(item.part, item.why.get("strategy", ""))
    out.rule()
    print_fields([("row", f"{item.id} ({why})"), *((name, value) for name, value in item.cells.items())])
    if batch.classes:
        print_line("  ".join(f"{number} {name}" for number, name in enumerate(batch.classes, start=1)))


def _entry(item: PoolItem, label: str | None, batch: Batch) -> dict[str, Any]:
    if label is None or label == "":
        return {"id": item.id, "verdict": "skip"}
    return {"id": item.id, "label": label if batch.classes else float(label)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
