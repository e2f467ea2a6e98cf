"""How long snapshots are kept, and how a person's rows leave them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from training.data.snapshots import Erasure, SnapshotStore

logger = logging.getLogger("training")


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what stayed because a version needs it."""

    removed: tuple[str, ...]
    needed: tuple[str, ...]


def prune(
    store: SnapshotStore, *, older_than: timedelta, needed: Collection[str], now: datetime, dry_run: bool = False
) -> Pruned:
    """Removes snapshots whose last use is older than an age and that no living version was trained on.

    Args:
        store: the snapshots.
        older_than: age of the last use, in which a job was trained on the snapshot.
        needed: hashes that registered versions name.
        now: aware.
        dry_run: says what would go, and removes nothing.
    """
    removed, kept = [], []
    for sha256 in store.hashes():
        times = [datetime.fromisoformat(use.time) for use in store.uses(sha256)]
        # one without a use is being written now, or its job died in between: its age is not known
        if not times or now - max(times) <= older_than:
            continue
        if sha256 in needed:
            kept.append(sha256)
            continue
        removed.append(sha256)
        if not dry_run:
            store.remove(sha256)
            logger.info("snapshot %s is removed", sha256)
    return Pruned(tuple(removed), tuple(kept))


def erase(store: SnapshotStore, column: str, values: Collection[str], *, by: str, reason: str) -> dict[str, int]:
    """Takes the rows of some persons out of every snapshot, and records it there.

    Args:
        store: the snapshots.
        column: names the persons.
        values: whose rows go, as text; they are not recorded, for they are what is to be forgotten.
        by: who erases.
        reason: why, for the record.

    Returns:
        Rows erased, by snapshot; only those that held some.
    """
    found = {}
    for sha256 in store.hashes():
        rows = store.erase(sha256, column, values, Erasure(column=column, by=by, reason=reason))
        if rows:
            found[sha256] = rows
            logger.info("%s rows are erased from snapshot %s", rows, sha256)
    return found
