"""Which columns a watched version has, and how they are kept: the same in the reference profile and in the stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow as pa

from training.mts_scoring.columns import Feature
from training.mts_scoring.model import ScoringModel

FEATURE = "feature."
"""Before the name of a feature in a stored table, for a feature may be named as one of our own columns."""
SCORE = "score."
METADATA_KEY = b"mts_monitoring"

_STORED = {
    "numeric": pa.float64(),
    "boolean": pa.float64(),
    "categorical": pa.string(),
    "datetime": pa.timestamp("us"),
}


@dataclass(frozen=True)
class MonitoredSchema:
    """The inputs and outputs of a version.

    `classes`: as in TableSchema; empty for regression. `threshold`: binary, the score from which on classes[1] is
    decided.
    """

    task: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    target: str
    threshold: float | None

    @classmethod
    def of(cls, model: ScoringModel) -> Self:
        """The schema of a model; a kind that we do not know is kept as text."""
        features = tuple(
            feature if feature.kind in _STORED else Feature(feature.name, "categorical") for feature in model.features
        )
        return cls(model.task, model.classes, features, model.target, model.threshold)

    @property
    def score_columns(self) -> tuple[str, ...]:
        """Stored columns of the scores: one value, or the probability of each class of a multiclass task."""
        if self.task != "multiclass":
            return (f"{SCORE}0",)
        return tuple(f"{SCORE}{number}" for number in range(len(self.classes)))

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """Stored columns of the features."""
        return tuple(FEATURE + feature.name for feature in self.features)

    def arrow_fields(self) -> list[Any]:
        """pyarrow fields of features and scores."""
        features = [pa.field(FEATURE + feature.name, _STORED[feature.kind]) for feature in self.features]
        return [*features, *(pa.field(name, pa.float64()) for name in self.score_columns)]

    def dumped(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def parsed(cls, raw: Mapping[str, Any]) -> Self:
        """From what `dumped` gave."""
        features = tuple(Feature(**feature) for feature in raw["features"])
        return cls(raw["task"], tuple(raw["classes"]), features, raw["target"], raw["threshold"])


def with_metadata(table: Any, metadata: Mapping[str, Any]) -> Any:
    """The pyarrow.Table with JSON metadata of ours."""
    return table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata, ensure_ascii=False).encode()})


def metadata_of(table: Any) -> dict[str, Any]:
    """What `with_metadata` wrote."""
    found: dict[str, Any] = json.loads(table.schema.metadata[METADATA_KEY])
    return found
