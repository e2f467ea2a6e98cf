"""Whether the test rows are of another kind than the train rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from training.data.checks.context import CheckContext
from training.data.checks.score import area, binned, score
from training.result import Finding

ROWS = 5_000
"""Of each part that the classifier is given."""
MIN_ROWS = 100
WARN_AREA, ERROR_AREA = 0.7, 0.95
_MAX_FEATURES = 300
_SHOWN = 3


def drift(context: CheckContext) -> Iterator[Finding]:
    """A classifier that tells test rows from train rows (a domain classifier; Rabanser et al. 2019).

    It learns on every second row and is measured on the others; an area of 0.5 says that nothing can be told.
    """
    train, test = context.train[:: _step(context.train)], context.test[:: _step(context.test)]
    names = [column.name for column in context.schema.features][:_MAX_FEATURES]
    if min(len(train), len(test)) < MIN_ROWS:
        return
    columns = [np.concatenate([context.feature(name, train), context.feature(name, test)]) for name in names]
    is_test = np.repeat([0.0, 1.0], [len(train), len(test)])
    half = np.arange(len(is_test)) % 2 == 0
    matrix = np.column_stack(columns)
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8, early_stopping=False, random_state=0)
    model.fit(matrix[half], is_test[half])
    found = area(is_test[~half] == 1, model.predict_proba(matrix[~half])[:, 1])
    if found < WARN_AREA:
        return
    alone = {
        name: score(binned(values, categories=False), is_test, 2) for name, values in zip(names, columns, strict=True)
    }
    most = sorted(alone, key=lambda name: -alone[name])[:_SHOWN]
    listed = ", ".join(f"{name} ({alone[name]:.2f})" for name in most)
    yield Finding(
        check="drift",
        severity="error" if found >= ERROR_AREA and context.split.strategy != "time" else "warning",
        columns=most,
        evidence=f"test rows can be told from train rows with an area of {found:.2f}; most by {listed}",
        remedy="Leave columns out that only say when or where a row was made, or train on rows like the newest.",
        figures={"score": found},
    )


def _step(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    return max(1, -(-len(rows) // ROWS))
