"""The `data` and `split` parts of a spec: which rows, which columns, how they are divided."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from training.spec.base import SpecModel
from training.spec.sources import Scalar, SnapshotSource, SqlSource, UploadSource

Task = Literal["binary", "multiclass", "regression"]
SplitStrategy = Literal["random", "stratified", "group", "time", "predefined"]


Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
Condition = tuple[str, Comparison, Scalar | list[Scalar]]
"""A column, a comparison and a value; a list of values for `in` and `not in`."""


class FileSource(SpecModel):
    """CSV, Parquet or JSON lines: one file, a folder of files, or a glob; local or by URI.

    Folders named `column=value` inside of a folder are partitions: their names become columns.
    """

    type: Literal["file"] = "file"
    uri: Annotated[str, Field(min_length=1, max_length=2000)]
    """Path or URI under one of the data roots that the operator allows."""
    format: Literal["auto", "csv", "parquet", "jsonl"] = "auto"
    """`auto` goes by the suffix: .csv, .parquet, .jsonl or .ndjson; .csv.gz and .jsonl.gz too."""
    filter: list[Condition] = []
    """Only rows that meet all of them, such as ["year", ">=", 2024]. Parquet is not read where it cannot match."""


class InlineSource(SpecModel):
    """Rows in the spec itself; for small tables and tests."""

    type: Literal["inline"] = "inline"
    rows: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]


PART_COLUMN = "pool_part"
"""Of the rows of a pool: says of each whether it is a train or a test row."""


class PoolLabel(SpecModel):
    """What is known of one row of a pool."""

    id: str
    label: str | float
    """A class as text, or a number for regression."""
    part: Literal["train", "test"] = "train"
    row_hash: str | None = None
    """The row as the labeller saw it; a row that is another one by now is left out."""


class PoolSource(SpecModel):
    """The labelled rows of a pool: rows of another source by their ids, with labels that people gave.

    The table has the columns of `rows` without `target`, then `target` with the labels, then `pool_part` (train, test).
    """

    type: Literal["pool"] = "pool"
    rows: Source
    labelled: Source | None = None
    """Rows that came with labels; all of them are train rows."""
    id_column: str | None = None
    """Default: rows are numbered from 0."""
    target: Annotated[str, Field(min_length=1)]
    labels: Annotated[list[PoolLabel], Field(min_length=1, max_length=1_000_000)]


class FeastSource(SpecModel):
    """Rows of another source, each with the feature values that were known at its time, from a Feast repository.

    The table has the columns of `entities`, then the features. A value from after the time of a row never enters.
    """

    type: Literal["feast"] = "feast"
    repository: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of a repository in the operator's MTS_CONNECTIONS_FILE."""
    features: Annotated[list[Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]], Field(min_length=1)] | None = None
    """Such as ["bureau:income", "bureau:debts"]."""
    feature_service: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Instead of `features`: a service of the repository."""
    entities: Source
    """The rows, with the join keys of the features, the time of the event, and the target."""
    timestamp_column: Annotated[str, Field(min_length=1)] = "event_timestamp"
    """The column of `entities` that says when the event was; times without a zone are UTC."""
    full_feature_names: bool = False
    """Names columns view__feature, for views that have features of the same name."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.features is None) == (self.feature_service is None):
            raise ValueError("give either features or feature_service")
        if self.entities.type == "feast":
            raise ValueError("entities come from another source, not from a feature store")
        return self


Source = Annotated[
    FileSource | InlineSource | SqlSource | UploadSource | SnapshotSource | PoolSource | FeastSource,
    Field(discriminator="type"),
]
PoolSource.model_rebuild()
FeastSource.model_rebuild()


class DataSpec(SpecModel):
    """Where the rows come from and what each column is for."""

    source: Source
    target: Annotated[str, Field(min_length=1)]
    """Column to predict."""
    task: Literal["auto"] | Task = "auto"
    """`auto` decides by the target: two values binary, text or few integers multiclass, otherwise regression."""
    positive_class: str | int | bool | None = None
    """Binary: the class whose probability is the score. Default: the rarer class."""
    include: list[str] | None = None
    """Feature columns. Default: all but those named elsewhere in `data`."""
    exclude: list[str] = []
    """Columns that must not become features."""
    id_column: str | None = None
    """Names a row; never a feature."""
    weight_column: str | None = None
    """Weight of a row in fitting and in the metrics; never a feature."""
    time_column: str | None = None
    """When the row was known; makes `auto` split by time."""
    group_column: str | None = None
    """Rows of one group never fall on two sides of a split; never a feature."""


class SplitSpec(SpecModel):
    """How the rows are divided into train, validation and hold-out test rows."""

    strategy: Literal["auto"] | SplitStrategy = "auto"
    """`auto`: time if there is a time column, group if there is a group column, else stratified or random."""
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of all rows that is held out for the metrics."""
    validation_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the remaining rows that steers early stopping, calibration and the choice between models."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    gap: Annotated[float, Field(ge=0)] = 0.0
    """`time`: what lies between the rows that a model is fitted on and those that judge it, in seconds, or in the unit
    of a time column of numbers; as long as it takes until an outcome is known."""
    window: Literal["expanding", "rolling"] = "expanding"
    """`time`, where rows are divided further (folds, search, stacking): whether each fold is fitted on all rows before
    those that judge it, or on as many moments as the first one."""
    column: str | None = None
    """`predefined`: the column whose values are train, validation and test (validation may be missing)."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """Cross-validate, too: all that the job does to fit its model, a search included, is done again for each fold of
    the train and validation rows, with validation rows of its own, and measured on the fold's rows (nested k-fold).
    `result.cross_validation` has the figures. The hold-out test rows and the registered version are not touched."""
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    """How often the folds are drawn anew; not for `time`, whose folds are always the same."""

    @model_validator(mode="after")
    def _repeats_of_folds(self) -> Self:
        if self.repeats > 1 and self.folds is None:
            raise ValueError("repeats are of folds; give folds, such as 5, too")
        return self
