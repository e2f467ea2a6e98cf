"""Drift of all features together: what no column shows alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from training.monitoring.results import MultivariateRow
from training.monitoring.stream import Rows
from training.mts_scoring.columns import Feature
from training.mts_scoring.encoder import TableEncoder

FloatArray = npt.NDArray[np.float64]
SAMPLE_ROWS = 2_000
"""Of the reference and of a window."""
MIN_AUC = 0.53
"""Below it a window that can be told from the reference is not worth an alarm."""
VARIANCE_KEPT = 0.65
"""By the components of the PCA; as NannyML does."""
MIN_VARIANCE = 1e-9
"""Share of the variance below which a component is rounding."""
MIN_CHANCE = 1e-3
"""A smaller chance of belonging to the window says no more than this."""
MIN_EXCESS = 0.02
"""Of the mean reconstruction error over the reference's."""


@dataclass(frozen=True)
class MultivariateReference:
    """The reference for both methods."""

    rows: Rows

    @cached_property
    def _features(self) -> list[Feature]:
        return [feature for feature in self.rows.schema.features if feature.kind != "datetime"]

    @cached_property
    def _sample(self) -> pd.DataFrame:
        return _even(self.rows.frame(), SAMPLE_ROWS, seed=1)

    @cached_property
    def _trees(self) -> TableEncoder:
        return TableEncoder.fit(self._sample, self._features, style="tree")

    @cached_property
    def _linear(self) -> TableEncoder:
        return TableEncoder.fit(self.rows.frame(), self._features, style="linear", max_categories=20)

    @cached_property
    def _pca(self) -> tuple[PCA, FloatArray] | None:
        """Fitted on one half of the reference; the errors of the other half are what errors are compared with.

        None where all columns vary as one: whatever is left out by the components would be rounding.
        """
        matrix = np.asarray(self._linear.transform(self.rows.frame()), dtype=np.float64)
        half = np.random.default_rng(2).permutation(len(matrix)) % 2 == 0
        spread = PCA(random_state=0).fit(matrix[half]).explained_variance_ratio_
        rank = int((spread > MIN_VARIANCE).sum())
        if rank < 2:
            return None
        # one component is always left out, for an error that is nothing cannot grow
        kept = min(int(np.searchsorted(spread.cumsum(), VARIANCE_KEPT, side="right")) + 1, rank - 1)
        pca = PCA(n_components=kept, random_state=0).fit(matrix[half])
        return pca, _errors(pca, matrix[~half])

    def density_ratio(self, rows: Rows) -> FloatArray:
        """How much rarer rows like each are in the window than they were: density of the reference over that of the
        window, [n]; all 1 where there are no features to compare.

        By a classifier of rows that it was not fitted on, both sides weighing the same.
        """
        if not self._features:
            return np.ones(len(rows))
        sides = [self._trees.transform(frame) for frame in (self._sample, rows.frame())]
        matrix = np.concatenate(sides)
        side = np.concatenate([np.full(len(part), float(number)) for number, part in enumerate(sides)])
        weight = np.concatenate([np.full(len(part), 1 / len(part)) for part in sides]) * len(side) / 2
        half, chance = np.random.default_rng(4).permutation(len(side)) % 2 == 0, np.empty(len(side))
        for inside in (half, ~half):
            model = _trees().fit(matrix[inside], side[inside], sample_weight=weight[inside])
            chance[~inside] = model.predict_proba(matrix[~inside])[:, 1]
        of_window = chance[len(self._sample) :].clip(MIN_CHANCE, 1)
        return np.asarray((1 - of_window) / of_window, dtype=np.float64)

    def compare(self, rows: Rows, alpha: float) -> list[MultivariateRow]:
        """The methods that apply to a window, each at half of `alpha`; none where there are no features to compare."""
        if not self._features or len(self.rows) < 50:
            return []
        frame = rows.frame()
        found = [self._domain(frame, alpha / 2)]
        if self._pca is not None:
            found.append(self._reconstruction(frame, *self._pca, alpha / 2))
        return found

    def _domain(self, frame: pd.DataFrame, alpha: float) -> MultivariateRow:
        """Whether a classifier tells the window from the reference: its ROC AUC on the half that it has not seen.

        Without drift the AUC has mean 1/2 and the variance of the Mann-Whitney statistic. Each half is scored by the
        model of the other, and the two are averaged; as the models share rows, the variance is taken as of one half.
        """
        window = _even(frame, SAMPLE_ROWS, seed=3)
        matrix = np.concatenate([self._trees.transform(self._sample), self._trees.transform(window)])
        side = np.concatenate([np.zeros(len(self._sample)), np.ones(len(window))])
        half = np.random.default_rng(4).permutation(len(side)) % 2 == 0
        areas = []
        for inside in (half, ~half):
            model = _trees().fit(matrix[inside], side[inside])
            areas.append(roc_auc_score(side[~inside], model.predict_proba(matrix[~inside])[:, 1]))
        first, second = len(self._sample) / 2, len(window) / 2
        sd = np.sqrt((first + second + 1) / (12 * first * second))
        area = float(np.mean(areas))
        threshold = max(MIN_AUC, 0.5 + float(norm.isf(alpha)) * float(sd))
        return MultivariateRow(method="domain_classifier", value=area, reference=0.5, threshold=threshold,
                               p_value=float(norm.sf((area - 0.5) / sd)), drifted=area > threshold)  # fmt: skip

    def _reconstruction(self, frame: pd.DataFrame, pca: PCA, before: FloatArray, alpha: float) -> MultivariateRow:
        """Whether rows lie further from the reference's main components than the reference's own rows do."""
        after = _errors(pca, np.asarray(self._linear.transform(frame), dtype=np.float64))
        sd = float(np.sqrt(before.var() / len(before) + after.var() / len(after))) or 1e-12
        reference, value = float(before.mean()), float(after.mean())
        z = (value - reference) / sd
        threshold = reference + max(MIN_EXCESS * reference, float(norm.isf(alpha / 2)) * sd)
        return MultivariateRow(method="pca_reconstruction", value=value, reference=reference, threshold=threshold,
                               p_value=float(2 * norm.sf(abs(z))), drifted=value > threshold)  # fmt: skip


def _trees() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=25, max_leaf_nodes=8, learning_rate=0.2, random_state=0)


def _errors(pca: PCA, matrix: FloatArray) -> FloatArray:
    """Euclidean distance of each row from the components, [n]."""
    back = pca.inverse_transform(pca.transform(matrix))
    return np.asarray(np.sqrt(((matrix - back) ** 2).sum(axis=1)), dtype=np.float64)


def _even(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    if len(frame) <= rows:
        return frame
    return frame.iloc[np.sort(np.random.default_rng(seed).choice(len(frame), rows, replace=False))]
