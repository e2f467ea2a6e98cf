"""Where rows come from: one class per source type of the spec, by its `type`."""

from typing import Any

from training.data.sources.base import DataSource
from training.data.sources.feast_source import FeastRows
from training.data.sources.file_source import FileRows
from training.data.sources.inline_source import InlineRows
from training.data.sources.pool_source import PoolRows
from training.data.sources.snapshot_source import SnapshotRows
from training.data.sources.sql_source import SqlRows
from training.data.sources.upload_source import UploadRows

SOURCES: dict[str, DataSource[Any]] = {
    "file": FileRows(),
    "inline": InlineRows(),
    "sql": SqlRows(),
    "snapshot": SnapshotRows(),
    "upload": UploadRows(),
}
SOURCES["pool"] = PoolRows(SOURCES)
SOURCES["feast"] = FeastRows(SOURCES)

__all__ = ["SOURCES", "DataSource"]
