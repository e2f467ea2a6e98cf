"""Rows of another source, with the features that a feature store knew at their time."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from training.data.access import DataAccess
from training.data.coded import decoded
from training.data.connections import named, read_connections
from training.data.sources.base import DataSource
from training.data.streaming import USE_KEY, Piece, gather
from training.errors import UnavailableError
from training.result import FeatureStoreUse
from training.spec import FeastSource

if TYPE_CHECKING:
    from training.data.features.repository import FeatureRepository

ROWS_PER_ASKING = 500_000
"""Rows of the entities that the store is asked about at once; each time it reads its own files again."""


class FeastRows(DataSource[FeastSource]):
    """Joins features to the rows of another source, as of the time of each row.

    Columns are not left out: what a view answers costs the same for one feature as for all.
    """

    def __init__(self, sources: Mapping[str, DataSource[Any]]) -> None:
        self._sources = sources

    def read(self, source: FeastSource, access: DataAccess, field: str, columns: Sequence[str] | None = None) -> Any:
        """All rows of the entities, in their order, in memory."""
        with tempfile.TemporaryDirectory(prefix="mts-rows-") as folder:
            found = gather(self.pieces(source, access, field, columns), Path(folder), field)
            return found.table if found.file is None else parquet.read_table(found.file)

    def pieces(
        self, source: FeastSource, access: DataAccess, field: str, columns: Sequence[str] | None = None
    ) -> Generator[Piece, None, None]:  # fmt: skip
        """The same, ROWS_PER_ASKING at once; the metadata of each piece say which features it has."""
        del columns
        repository = _opened(source, access, field)
        from training.data.features.history import with_history  # noqa: PLC0415 - an extra

        if source.features is None:
            views = repository.by_service(str(source.feature_service))
        else:
            views = repository.by_reference(source.features)
        full = source.full_feature_names
        use = FeatureStoreUse(
            repository=source.repository, project=repository.project, feature_service=source.feature_service,
            timestamp_column=source.timestamp_column, known_at_event=repository.knows_when_written,
            online_store=repository.online_store,
            views=[repository.use_of(view, full_names=full) for view in views],
        )  # fmt: skip
        for entities in self._entities(source, access, f"{field}.entities"):
            found = with_history(entities, repository, views, source.timestamp_column, field, full_names=full)
            yield Piece("", found.replace_schema_metadata({USE_KEY: use.model_dump_json()}))

    def _entities(self, source: FeastSource, access: DataAccess, field: str) -> Iterator[Any]:
        """Canonical rows of the entities; of a source that is read in pieces no more than are asked about at once."""
        reader = self._sources[source.entities.type]
        pieces = reader.pieces(source.entities, access, field)
        if pieces is None:
            yield decoded(reader.read(source.entities, access, field))
            return
        with tempfile.TemporaryDirectory(prefix="mts-entities-") as folder, closing(pieces):
            found = gather(pieces, Path(folder), reader.place(source.entities, field))
            if found.table is not None:
                yield found.table
                return
            with parquet.ParquetFile(found.file) as file:
                for batch in file.iter_batches(batch_size=ROWS_PER_ASKING):
                    yield pa.Table.from_batches([batch])

    def size_bytes(self, source: FeastSource, access: DataAccess, field: str) -> int:
        """Twice that of the entities: the size of the features is not known before they are read."""
        _opened(source, access, field)
        return 2 * self._sources[source.entities.type].size_bytes(source.entities, access, f"{field}.entities")

    def uri(self, source: FeastSource) -> str:
        """The names of the repository and of the service or the views."""
        views = dict.fromkeys(one.partition(":")[0] for one in source.features or [])
        what = source.feature_service or ",".join(views)
        return f"feast://{source.repository}/{what} for {self._sources[source.entities.type].uri(source.entities)}"


def _opened(source: FeastSource, access: DataAccess, field: str) -> FeatureRepository:
    place = f"{field}.repository"
    known = read_connections(access.connections_file)
    path = named(known.repositories, source.repository, "repository", place).path
    try:
        from training.data.features.repository import FeatureRepository  # noqa: PLC0415 - an extra
    except ImportError:
        hint = "The operator installs model-training-service[feast]."
        raise UnavailableError.at(place, source.repository, "the feature store is not installed", hint=hint) from None
    if access.connections_file is not None:
        path = access.connections_file.parent / path
    return FeatureRepository(source.repository, path, field)
