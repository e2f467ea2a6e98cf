"""The rows of an evaluation with their scores: read whole where they are few, streamed to the cluster where not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data import DataAccess, batches, evaluation_rows, labelled_piece, load, row_hashes, unified_frame
from training.data.rows import evaluation_warnings, no_target_at_all
from training.distributed.in_parallel import in_parallel
from training.errors import DataError
from training.evaluation import check_slices
from training.events import Observer
from training.mts_scoring.model import InputError, ScoringModel
from training.spec import EvaluateSpec

logger = logging.getLogger("training")

STREAMED_BYTES = 64 * 2**20
"""Data of this size and more are not read whole."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Rows that have a target: what was predicted, what is true, and the columns by which they are to be cut.

    `scores`: [n, classes], [n] of the positive class of a streamed binary evaluation, or [n] values. `target`: [n].
    `weight`: [n] or None. `frame`: [n, slice columns]. `hashes`: [n], see NewVersion.row_hashes.
    """

    target: npt.NDArray[Any]
    scores: Floats
    weight: Floats | None
    frame: pd.DataFrame
    hashes: npt.NDArray[np.uint64]
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Wanted:
    """What every piece is asked for; goes to the workers."""

    model: ScoringModel
    slices: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """All that is needed of the data."""
        weight = self.model.extras.get("weight_column")
        features = [feature.name for feature in self.model.features]
        return list(dict.fromkeys([*features, self.model.target, *([weight] if weight else []), *self.slices]))


@dataclass
class Gathered:
    """What is kept of each piece: some bytes for a row, however wide the data are."""

    targets: list[npt.NDArray[Any]] = field(default_factory=list)
    scores: list[Floats] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)
    slices: list[Any] = field(default_factory=list)
    hashes: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    rows: int = 0
    unlabelled: int = 0


def read_whole(spec: EvaluateSpec, model: ScoringModel, access: DataAccess) -> Callable[[], Measured]:
    """Reads and checks the rows; the answer scores them.

    Raises:
        DataError, SpecError: the data do not fit the model, or have no such slice column.
    """
    dataset = load(spec.data.source, access)
    rows, warnings = evaluation_rows(
        dataset.frame, target=model.target, task=model.task, classes=model.classes,
        weight_column=model.extras.get("weight_column"),
    )  # fmt: skip
    check_slices(spec.slices, list(dataset.frame.columns), field="slices")

    def score() -> Measured:
        scores = scored(model, rows.frame)
        return Measured(rows.target, scores, rows.weight, rows.frame, _hashes(model, rows.frame), warnings)

    return score


def stream(
    spec: EvaluateSpec, model: ScoringModel, access: DataAccess, observer: Observer, size_bytes: int
) -> Measured:  # fmt: skip
    """Scores the rows piece by piece, on as many CPUs as the cluster has to spare.

    Raises:
        DataError, SpecError: as `read_whole`, when the piece is met in which something is wrong.
    """
    wanted = Wanted(model, tuple(dict.fromkeys(spec.slices)))
    logger.info("%s MB are scored in parallel, piece by piece", f"{size_bytes / 1e6:,.0f}")
    read_bytes = 0

    def pieces() -> Generator[Any, None, None]:
        nonlocal read_bytes
        with closing(batches(spec.data.source, access, columns=wanted.columns)) as tables:
            for table in tables:
                check_slices(wanted.slices, table.column_names, field="slices")
                yield table
                read_bytes += table.nbytes
                # in memory a row takes more or less than in the file: what is left is only guessed
                observer.progress(min(0.95, read_bytes / max(1, read_bytes + size_bytes)))

    gathered = Gathered()
    with closing(pieces()) as parts:
        for piece in in_parallel(score_piece, wanted, parts, name=f"evaluate:{spec.model.name}"):
            _gather(gathered, piece)
    return _together(gathered, model, wanted)


def score_piece(wanted: Wanted, table: Any) -> Gathered:
    """Scores a piece; runs on a worker."""
    model = wanted.model
    frame = table.to_pandas(coerce_temporal_nanoseconds=False)
    rows, unlabelled = labelled_piece(
        frame, target=model.target, task=model.task, classes=model.classes,
        weight_column=model.extras.get("weight_column"),
    )  # fmt: skip
    found = Gathered(rows=len(rows), unlabelled=unlabelled)
    if len(rows):
        scores = scored(model, rows.frame)
        found.scores.append(np.ascontiguousarray(scores[:, 1]) if model.task == "binary" else scores)
        found.hashes.append(_hashes(model, rows.frame))
        narrow = model.task != "regression"
        found.targets.append(rows.target.astype(np.int16) if narrow else rows.target)
        found.weights.extend([] if rows.weight is None else [rows.weight])
        if wanted.slices:
            labelled = table.column(model.target).is_valid()
            found.slices.append(table.select(list(wanted.slices)).filter(labelled))
    return found


def _hashes(model: ScoringModel, frame: pd.DataFrame) -> npt.NDArray[np.uint64]:
    return row_hashes(frame, [*(feature.name for feature in model.features), model.target])


def scored(model: ScoringModel, frame: pd.DataFrame) -> Floats:
    """The model's scores.

    Raises:
        DataError: the rows lack a column of the model, or hold what it cannot take.
    """
    try:
        return model.scores(frame)
    except InputError as error:
        hint = "Give the columns that the model was trained on, with values of the same kind."
        raise DataError.at("data.source", list(frame.columns), str(error), hint=hint) from error


def _gather(gathered: Gathered, piece: Gathered) -> None:
    gathered.targets += piece.targets
    gathered.scores += piece.scores
    gathered.weights += piece.weights
    gathered.slices += piece.slices
    gathered.hashes += piece.hashes
    gathered.rows += piece.rows
    gathered.unlabelled += piece.unlabelled


def _together(gathered: Gathered, model: ScoringModel, wanted: Wanted) -> Measured:
    if gathered.rows == 0:
        raise no_target_at_all(model.target)
    target = _joined(gathered.targets)
    target = target if model.task == "regression" else target.astype(np.int64)
    weight = _joined(gathered.weights) if gathered.weights else None
    if weight is not None and not weight.any():
        name = model.extras.get("weight_column")
        raise DataError.at("data.source", 0, f"all weights in {name!r} are zero", hint="Give rows a weight above zero.")
    warnings = evaluation_warnings(target, gathered.unlabelled, model.target, model.classes)
    frame = unified_frame(gathered.slices) if wanted.slices else pd.DataFrame(index=pd.RangeIndex(len(target)))
    return Measured(target, _joined(gathered.scores), weight, frame, _joined(gathered.hashes), warnings)


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One array; the parts are freed."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole
