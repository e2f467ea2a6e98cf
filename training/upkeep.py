"""Commands of the operator about snapshots: python -m training prune, python -m training erase."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.data import SnapshotStore
from training.data.retention import erase, prune
from training.registry import Registry

out = Console(soft_wrap=True, highlight=False)

Home = Annotated[Path, typer.Option(envvar="MTS_HOME", help="State, where no URI below is given.")]
Tracking = Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow store.")]
Artifacts = Annotated[str | None, typer.Option(envvar="MTS_ARTIFACT_URI", help="Artifact folder.")]


def prune_snapshots(
    *,
    older_than_days: Annotated[float, typer.Option(min=0, help="Age of the last use.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")] = False,
    home: Home = Path(".mts"),
    tracking_uri: Tracking = None,
    artifact_uri: Artifacts = None,
) -> None:
    """Removes old snapshots that no registered version was trained on.

    Example: python -m training prune --older-than-days 90 --dry-run
    """
    place = home.expanduser().resolve()
    artifacts = artifact_uri or str(place / "artifacts")
    needed = Registry(tracking_uri or f"sqlite:///{place / 'mlflow.db'}", artifacts).data_hashes()
    age = timedelta(days=older_than_days)
    found = prune(SnapshotStore(artifacts), older_than=age, needed=needed, now=datetime.now(UTC), dry_run=dry_run)
    for sha256 in found.removed:
        out.print(f"{'would remove' if dry_run else 'removed'} {sha256}")
    out.print(f"{len(found.removed)} removed, {len(found.needed)} old ones kept for a version")


def erase_rows(
    *,
    id_column: Annotated[str, typer.Option(help="Column that names the persons.")],
    id_file: Annotated[Path, typer.Option(help="One value a line; not on the command line, where others see it.")],
    by: Annotated[str, typer.Option(help="Who erases, for the record.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    home: Home = Path(".mts"),
    artifact_uri: Artifacts = None,
) -> None:
    """Takes the rows of some persons out of every snapshot, and records it there.

    Example: python -m training erase --id-column customer --id-file ids.txt --by dpo --reason "request 17"
    """
    values = {line.strip() for line in id_file.read_text(encoding="utf-8").splitlines() if line.strip()}
    artifacts = artifact_uri or str(home.expanduser().resolve() / "artifacts")
    found = erase(SnapshotStore(artifacts), id_column, values, by=by, reason=reason)
    for sha256, rows in found.items():
        out.print(f"{rows} rows erased from {sha256}")
    out.print(f"{sum(found.values())} rows erased from {len(found)} snapshots")
