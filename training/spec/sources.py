"""Sources of rows that are not files of the caller: databases, uploads, snapshots."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.spec.base import SpecModel

Scalar = str | int | float | bool | None


class SqlSource(SpecModel):
    """A table, or the answer of one SELECT, of a database that the operator has named."""

    type: Literal["sql"] = "sql"
    connection: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of a connection in the operator's MTS_CONNECTIONS_FILE; a spec never holds an address or a password."""
    table: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    """`loans`, or `schema.loans`."""
    query: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None
    """One SELECT. Its rows need an ORDER BY where their order is to be the same each time."""
    parameters: dict[str, Scalar] = {}
    """Values for the `:name` places of the query; they are bound, never pasted."""
    partition_column: str | None = None
    """A column of numbers, dates or times; a PostgreSQL table is read in ranges of it, side by side."""
    partitions: Annotated[int, Field(ge=1, le=64)] = 4
    """How many ranges, where there is a partition column."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """More rows are an error. The connection may have a lower limit of its own."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        if self.parameters and self.query is None:
            raise ValueError("parameters belong to a query; a table takes none")
        return self


class UploadSource(SpecModel):
    """A file that was uploaded with POST /api/v1/datasets."""

    type: Literal["upload"] = "upload"
    id: Annotated[str, Field(pattern=r"^data_[0-9a-z]{1,40}$")]
    """As the upload was answered."""


class SnapshotSource(SpecModel):
    """The very rows that an earlier job was trained on."""

    type: Literal["snapshot"] = "snapshot"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """`result.data.sha256` of that job."""
