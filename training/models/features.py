"""Columns that are made for trees from categorical columns of many values, out of fold where the target is in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data.table import Column, Rows, TableSchema
from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.fitting import fit_errors
from training.models.pool import Pool, folds_of, taken
from training.mts_scoring.feature_predictor import FeaturePredictor
from training.mts_scoring.feature_steps import CountEncoding, FeatureStep, TargetEncoding, with_steps
from training.mts_scoring.reading import read_labels
from training.spec import ModelSpec, TreeFeature

logger = logging.getLogger("training")

MANY_VALUES = 20
"""A column of fewer values is split well by trees as it is."""
MOST_CLASSES = 10
"""With more classes there would be a column for each of them."""
PRIOR_ROWS = 10.0
"""A category's mean is drawn towards the mean of all as if by so many rows."""
FOLDS = 5


def wide_columns(schema: TableSchema) -> list[str]:
    """The columns that columns are made from."""
    return [column.name for column in schema.features if column.kind == "categorical" and column.unique > MANY_VALUES]


def fit_with_features(
    family: ModelFamily, spec: ModelSpec, wanted: Sequence[TreeFeature], data: FitData, context: FitContext
) -> FittedModel:
    """Fits the family on the rows with more columns.

    A train row's encoding comes from the other folds, so that its own target is not in it (as ordered statistics in
    Prokhorenkova et al. 2018, arXiv:1706.09516, section 3.2, but by folds); validation rows and rows to be scored get
    that of all train rows. Groups and times are obeyed; a row that no fold holds out gets the mean of all.

    Raises:
        DataError: a column holds what has no label.
        FitError: as the family.
    """
    names = wide_columns(data.schema)
    if not names or len(data.schema.classes) > MOST_CLASSES:
        logger.info("features: no categorical column of more than %d values; none is made", MANY_VALUES)
        return family.fit(spec, data, context)
    with fit_errors("features"):
        steps = learn_steps(names, wanted, data.train, data.schema)
        train = Rows(_out_of_fold(names, data, context.seed, steps), data.train.target, data.train.weight)
        validation = data.validation
        if validation is not None:
            validation = replace(validation, frame=with_steps(validation.frame, steps))
    added = [Column(name, "numeric", "feature", 0, MANY_VALUES) for step in steps for name in step.outputs]
    schema = replace(data.schema, columns=(*data.schema.columns, *added))
    fitted = family.fit(spec, FitData(schema, train, validation, data.structure), context)
    logger.info("features: %d columns made of %s", len(added), ", ".join(names[:8]))
    return replace(fitted, predictor=FeaturePredictor(steps, fitted.predictor))


def learn_steps(
    names: Sequence[str], wanted: Sequence[TreeFeature], rows: Rows, schema: TableSchema
) -> list[FeatureStep]:
    """The encodings that the rows teach."""
    steps: list[FeatureStep] = []
    targets = _targets(rows, schema)
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    for name in names:
        codes, labels = _codes(rows.frame[name], name)
        present = codes >= 0
        sums = np.bincount(codes[present], weights=weight[present], minlength=len(labels))
        if "target_encoding" in wanted:
            means = np.einsum("n,nk->k", weight, targets) / weight.sum()
            totals = np.stack([
                np.bincount(codes[present], weights=(weight * column)[present], minlength=len(labels))
                for column in targets.T
            ], axis=1)  # fmt: skip
            lines = (totals + PRIOR_ROWS * means) / (sums + PRIOR_ROWS)[:, None]
            outputs = [f"{name}: mean of target {place}" for place in range(targets.shape[1])]
            steps.append(TargetEncoding(name, outputs, _table(labels, lines), means.tolist()))
        if "counts" in wanted:
            counts = np.log1p(np.bincount(codes[present], minlength=len(labels)))[:, None]
            steps.append(CountEncoding(name, [f"{name}: count"], _table(labels, counts), [0.0]))
    return steps


def _out_of_fold(names: Sequence[str], data: FitData, seed: int, steps: Sequence[FeatureStep]) -> pd.DataFrame:
    """The train frame with columns of which none knows the row's own target."""
    frame = with_steps(data.train.frame, steps)
    encoded = [name for step in steps if isinstance(step, TargetEncoding) for name in step.outputs]
    if not encoded:
        return frame
    rows = len(data.train)
    structure = data.structure.of(np.arange(rows))
    pool = Pool.of(FitData(data.schema, data.train, None, structure))
    values = np.full((rows, len(encoded)), np.nan)
    for fold in folds_of(pool, FOLDS, seed):
        learnt = learn_steps(names, ("target_encoding",), taken(data.train, fold.learnt), data.schema)
        held = data.train.frame.take(fold.held)
        values[fold.held] = np.hstack([step.apply(held[step.source]) for step in learnt])
    means = np.nanmean(values, axis=0)
    frame[encoded] = np.where(np.isnan(values), means, values)
    return frame


def _targets(rows: Rows, schema: TableSchema) -> npt.NDArray[np.float64]:
    """[n, k]: the value, the positive class, or a column for each class but the first."""
    if not schema.classes:
        return rows.target.astype(np.float64)[:, None]
    codes = rows.target.astype(np.int64)
    return np.stack([codes == code for code in range(1, len(schema.classes))], axis=1).astype(np.float64)


def _codes(values: pd.Series[Any], name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Codes of distinct labels, -1 for missing; `read_labels` may list a label twice."""
    places, listed = read_labels(values, name)
    known: dict[str, int] = {}
    mapping = np.array([*(known.setdefault(label, len(known)) for label in listed), -1], dtype=np.int64)
    return mapping[places], list(known)


def _table(labels: Sequence[str], lines: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    return dict(zip(labels, lines.tolist(), strict=True))
