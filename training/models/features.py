"""Columns that are made for trees of other columns, out of fold where the target is in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from training.data.table import Column, Rows, TableSchema
from training.models.base import FitContext, FitData, FittedModel, ModelFamily
from training.models.feature_choice import MANY_VALUES, PRIOR_ROWS, Codes, FeaturePlan, Numbers, codes_of, plan_features
from training.models.fitting import fit_errors
from training.models.pool import Pool, folds_of, taken
from training.mts_scoring.feature_predictor import FeaturePredictor
from training.mts_scoring.feature_steps import (
    CountEncoding,
    CrossEncoding,
    FeatureStep,
    GroupDeviation,
    TargetEncoding,
    with_steps,
)
from training.mts_scoring.reading import read_numbers
from training.spec import ModelSpec, TreeFeature

logger = logging.getLogger("training")

MOST_CLASSES = 10
"""With more classes there would be a column for each of them."""
FOLDS = 5


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
    if len(data.schema.classes) > MOST_CLASSES:
        logger.info("features: none is made of more than %d classes", MOST_CLASSES)
        return family.fit(spec, data, context)
    with fit_errors("features"):
        plan = plan_features(wanted, data.train, data.schema, _targets(data.train, data.schema))
        if not plan:
            logger.info("features: no column or pair of columns from which one is made")
            return family.fit(spec, data, context)
        steps = learn_steps(plan, data.train, data.schema)
        train = Rows(out_of_fold(plan, data, context.seed, steps), data.train.target, data.train.weight)
        validation = data.validation
        if validation is not None:
            validation = replace(validation, frame=with_steps(validation.frame, steps))
    added = [Column(name, "numeric", "feature", 0, MANY_VALUES) for step in steps for name in step.outputs]
    schema = replace(data.schema, columns=(*data.schema.columns, *added))
    fitted = family.fit(spec, FitData(schema, train, validation, data.structure), context)
    logger.info("features: %d columns, such as %s", len(added), ", ".join(column.name for column in added[:8]))
    return replace(fitted, predictor=FeaturePredictor(steps, fitted.predictor))


def learn_steps(plan: FeaturePlan, rows: Rows, schema: TableSchema) -> list[FeatureStep]:
    """What the rows teach of the planned columns."""
    learner = _Learner(rows, _targets(rows, schema), np.ones(len(rows)) if rows.weight is None else rows.weight)
    return [
        *(learner.encoding(name) for name in plan.encoded),
        *(learner.counts(name) for name in plan.counted),
        *(learner.cross(pair) for pair in plan.crosses),
        *(learner.deviation(pair) for pair in plan.aggregates),
    ]


class _Learner:
    """Learns one step after the other from the same rows. `targets`: [n, k]."""

    def __init__(self, rows: Rows, targets: Numbers, weight: Numbers) -> None:
        self._rows, self._targets, self._weight = rows, targets, weight
        self._mean = np.einsum("n,nk->k", weight, targets) / weight.sum()

    def encoding(self, name: str) -> FeatureStep:
        codes, labels = self._codes(name)
        table = dict(zip(labels, self._means(codes, len(labels)).tolist(), strict=True))
        return TargetEncoding(name, self._named(f"{name}: mean of target"), table, self._mean.tolist())

    def counts(self, name: str) -> FeatureStep:
        codes, labels = self._codes(name)
        counts = np.log1p(np.bincount(codes[codes >= 0], minlength=len(labels)))
        table = {label: [float(count)] for label, count in zip(labels, counts, strict=True)}
        return CountEncoding(name, [f"{name}: count"], table, [0.0])

    def cross(self, pair: tuple[str, str]) -> FeatureStep:
        (codes, labels), (others, second) = (self._codes(name) for name in pair)
        joint = np.where((codes >= 0) & (others >= 0), codes * len(second) + others, -1)
        places = np.unique(joint[joint >= 0])
        compact = np.where(joint >= 0, np.searchsorted(places, joint), -1)
        table: dict[str, dict[str, list[float]]] = {}
        for place, line in zip(places.tolist(), self._means(compact, len(places)).tolist(), strict=True):
            table.setdefault(labels[place // len(second)], {})[second[place % len(second)]] = line
        outputs = self._named(f"{pair[0]} and {pair[1]}: mean of target")
        return CrossEncoding(pair, outputs, table, self._mean.tolist())

    def deviation(self, pair: tuple[str, str]) -> FeatureStep:
        group, value = pair
        codes, labels = self._codes(group)
        numbers = read_numbers(self._rows.frame[value], value).astype(np.float64)
        known = ~np.isnan(numbers)
        total = self._weight[known].sum()
        mean = float(numbers[known] @ self._weight[known] / total) if total else 0.0
        chosen = known & (codes >= 0)
        sums = np.bincount(codes[chosen], weights=self._weight[chosen], minlength=len(labels))
        weighted = np.bincount(codes[chosen], weights=(self._weight * numbers)[chosen], minlength=len(labels))
        means = (weighted + PRIOR_ROWS * mean) / (sums + PRIOR_ROWS)
        table = dict(zip(labels, means.tolist(), strict=True))
        return GroupDeviation(pair, f"{value} less its mean by {group}", table, mean)

    def _codes(self, name: str) -> tuple[Codes, list[str]]:
        return codes_of(self._rows.frame[name], name)

    def _means(self, codes: Codes, count: int) -> Numbers:
        """[count, k] mean of the target, drawn towards the mean of all."""
        present = codes >= 0
        sums = np.bincount(codes[present], weights=self._weight[present], minlength=count)
        totals = [
            np.bincount(codes[present], weights=(self._weight * column)[present], minlength=count)
            for column in self._targets.T
        ]
        found: Numbers = (np.stack(totals, axis=1) + PRIOR_ROWS * self._mean) / (sums + PRIOR_ROWS)[:, None]
        return found

    def _named(self, what: str) -> list[str]:
        return [f"{what} {place}" for place in range(self._targets.shape[1])]


def out_of_fold(plan: FeaturePlan, data: FitData, seed: int, steps: Sequence[FeatureStep]) -> pd.DataFrame:
    """The train frame with columns of which none knows the row's own target."""
    frame = with_steps(data.train.frame, steps)
    encoded = [name for step in steps if step.uses_target for name in step.outputs]
    if not encoded:
        return frame
    rows = len(data.train)
    structure = data.structure.of(np.arange(rows))
    pool = Pool.of(FitData(data.schema, data.train, None, structure))
    values = np.full((rows, len(encoded)), np.nan)
    for fold in folds_of(pool, FOLDS, seed):
        learnt = learn_steps(plan.of_target(), taken(data.train, fold.learnt), data.schema)
        held = data.train.frame.take(fold.held)
        values[fold.held] = np.hstack([step.apply(held) for step in learnt])
    means = np.nanmean(values, axis=0)
    frame[encoded] = np.where(np.isnan(values), means, values)
    return frame


def _targets(rows: Rows, schema: TableSchema) -> Numbers:
    """[n, k]: the value, the positive class, or a column for each class but the first."""
    if not schema.classes:
        return rows.target.astype(np.float64)[:, None]
    codes = rows.target.astype(np.int64)
    return np.stack([codes == code for code in range(1, len(schema.classes))], axis=1).astype(np.float64)
