"""A trained model as a folder: a predictor, and what its numbers mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import Feature, InputError, check_columns
from .interval import PredictionInterval
from .predictor import Predictor
from .read_once import FEW_ROWS, read_once
from .registry import PREDICTORS

__all__ = ["Feature", "InputError", "ModelFileError", "ScoringModel"]

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PREDICTOR_FOLDER = "predictor"


class ModelFileError(ValueError):
    """The folder holds no model that this version reads, or its files are not those that were saved."""


@dataclass(frozen=True)
class ScoringModel:
    """Everything that is needed to score raw rows.

    `classes`: labels in the order of the probability columns; empty for regression; for a binary task classes[1] is
    the positive class. `threshold`: binary only, the score from which on the positive class is decided.
    `extras`: whatever JSON later parts of the service want to find beside the model.
    """

    predictor: Predictor
    task: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    target: str
    threshold: float | None
    extras: dict[str, Any] = field(default_factory=dict)
    interval: PredictionInterval | None = None
    """Regression only: `predict` also answers the columns "low" and "high"."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Columns that `predict` answers."""
        if self.classes:
            return self.classes
        return ("prediction",) if self.interval is None else ("prediction", "low", "high")

    @property
    def requirements(self) -> tuple[str, ...]:
        """Distributions that scoring needs, by name."""
        return tuple(sorted({"numpy", "pandas", *self.predictor.distributions()}))

    def scores(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Scores raw rows: [n, classes] probabilities, or [n] values for regression.

        Raises:
            InputError: a column is missing, or holds a value that the model cannot take.
        """
        check_columns(frame, (feature.name for feature in self.features))
        if len(frame) <= FEW_ROWS or self.predictor.readings() == 1:
            return self.predictor.predict(frame)
        return np.concatenate([self.predictor.predict(piece) for piece in read_once(frame, self.features)])

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Scores raw rows: one column per class, named as the class, or the column "prediction" for regression.

        Raises:
            InputError: as `scores`.
        """
        scores = self.scores(frame).reshape(len(frame), len(self.classes) or 1)
        if self.interval is not None:
            scores = scores + np.array([0.0, -self.interval.margin, self.interval.margin])
        return pd.DataFrame(scores, index=frame.index, columns=list(self.outputs))

    def save(self, folder: Path) -> None:
        """Writes the model into a folder that is new or empty. The manifest comes last: a folder without is no model.

        Raises:
            FileExistsError: the folder holds something.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty")
        if self.predictor.kind not in PREDICTORS:
            raise ValueError(
                f"predictor kind {self.predictor.kind!r} is not in PREDICTORS: nothing could load it again"
            )
        inner = folder / PREDICTOR_FOLDER
        inner.mkdir()
        self.predictor.save(inner)
        manifest = {
            "format_version": FORMAT_VERSION,
            "predictor": self.predictor.kind,
            "task": self.task,
            "classes": list(self.classes),
            "features": [asdict(feature) for feature in self.features],
            "target": self.target,
            "threshold": self.threshold,
            "extras": self.extras,
            "interval": asdict(self.interval) if self.interval else None,
            "sha256": _hashes(inner),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / MANIFEST).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ScoringModel:
        """Reads what `save` wrote.

        Raises:
            ModelFileError: no manifest, a format of another version, or a file that was altered, added or taken away.
        """
        manifest = _read_manifest(folder)
        inner = folder / PREDICTOR_FOLDER
        _check_hashes(manifest["sha256"], _hashes(inner))
        kind = manifest["predictor"]
        if kind not in PREDICTORS:
            raise ModelFileError(f"predictor kind {kind!r} is not known here; known: {', '.join(PREDICTORS)}")
        return cls(
            predictor=PREDICTORS[kind].load(inner),
            task=manifest["task"],
            classes=tuple(manifest["classes"]),
            features=tuple(Feature(**feature) for feature in manifest["features"]),
            target=manifest["target"],
            threshold=manifest["threshold"],
            extras=manifest["extras"],
            interval=PredictionInterval(**manifest["interval"]) if manifest.get("interval") else None,
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(
            f"no {MANIFEST} in {folder.name!r}: that is no model, or it was not written to its end"
        ) from None
    except ValueError as error:
        raise ModelFileError(f"{MANIFEST} is not JSON: {error}") from None
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(f"format version {version!r}; this code reads {FORMAT_VERSION}")
    return manifest


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below the folder, by its path in POSIX form."""
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_hashes(saved: dict[str, str], found: dict[str, str]) -> None:
    for path in sorted(saved.keys() | found.keys()):
        if path not in found:
            raise ModelFileError(f"file {path!r} of the model is missing")
        if path not in saved:
            raise ModelFileError(f"file {path!r} does not belong to the model")
        if saved[path] != found[path]:
            raise ModelFileError(f"file {path!r} of the model was altered after it was saved")
