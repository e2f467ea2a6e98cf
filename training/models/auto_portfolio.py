"""What the family auto tries: strong fixed configurations, what each is likely to gain, cost and need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from training.data.table import TableSchema
from training.models.feature_choice import wide_columns
from training.models.pool import Pool
from training.spec import MemberSpec, SklearnSpec, TorchSpec, XGBoostSpec

Kind = Literal[
    "linear", "xgboost", "xgboost_shallow", "xgboost_encoded", "hist_gradient_boosting", "extra_trees", "tabm", "mlp",
]  # fmt: skip

ROW_BYTES = 8
"""Of one value of the table, as an estimate of memory is made before a fit."""
MANY_COLUMNS = 200


@dataclass(frozen=True)
class Shape:
    """What the cost of a fit depends on. `width`: columns after one-hot encoding, as far as it matters."""

    rows: int
    columns: int
    width: int
    outputs: int

    @classmethod
    def of(cls, pool: Pool) -> Shape:
        """The shape of all rows that are to be learnt from."""
        classes = len(pool.schema.classes)
        return cls(len(pool), len(pool.schema.features), _width(pool.schema), classes if classes > 2 else 1)


@dataclass(frozen=True)
class Candidate:
    """A configuration.

    `gain`: what it is likely to add, in arbitrary units. `seconds`: roughly, of one fit on one CPU to its own end; a
    wrong estimate costs order, not the budget. `memory_mb`: what a fit takes beside the table. `interruptible`: whether
    a fit ends by itself when its time is over.
    """

    name: Kind
    spec: MemberSpec
    gain: float
    seconds: Callable[[Shape], float]
    memory_mb: Callable[[Shape], float]
    interruptible: bool = True
    most: float = 0.4
    """Share of the whole budget that it may take."""

    def rank(self, shape: Shape) -> float:
        """Expected gain per second."""
        return self.gain / self.seconds(shape)


def portfolio(schema: TableSchema, shape: Shape, exclude: frozenset[str] = frozenset()) -> list[Candidate]:
    """The candidates for a task, in the order of expected gain per second; a linear model first, for it takes no time.

    The figures behind gain and seconds were measured on generated tables and on data sets of scikit-learn.
    """
    linear = "ridge" if schema.task == "regression" else "logistic_regression"
    found = [
        Candidate(
            "linear", SklearnSpec(estimator=linear, params={} if linear == "ridge" else {"max_iter": 300}), 100.0,
            _cost(0.05, 2e-7, wide=True), _memory(wide=3.0), interruptible=linear != "ridge", most=0.2,
        ),
        Candidate("xgboost", XGBoostSpec(), 10.0, _cost(0.2, 3e-6), _memory(table=1.0), most=0.3),
        Candidate(
            "xgboost_shallow",
            XGBoostSpec(params={
                "max_depth": 4, "learning_rate": 0.04, "min_child_weight": 4, "reg_lambda": 4.0,
                "colsample_bytree": 0.5,
            }),
            4.0, _cost(0.3, 3e-6), _memory(table=1.0), most=0.25,
        ),
        Candidate("tabm", TorchSpec(architecture="tabm"), 12.0, _cost(6.0, 6e-5),
                  _memory(table=4.0, fixed=400), most=0.5),
        Candidate(
            "extra_trees",
            SklearnSpec(estimator="extra_trees", params={"n_estimators": 200, "min_samples_leaf": 3}),
            2.0, _cost(0.8, 4e-6), _memory(table=1.0, rows=2.5e-3), most=0.15,
        ),
        Candidate("mlp", TorchSpec(architecture="mlp", params={"n_seeds": 1}), 5.0, _cost(6.0, 5e-5),
                  _memory(table=4.0, fixed=400), most=0.4),
        Candidate(
            "hist_gradient_boosting", SklearnSpec(params={"max_leaf_nodes": 16, "l2_regularization": 1.0}), 1.0,
            _cost(0.8, 3e-6), _memory(table=1.0), interruptible=False, most=0.15,
        ),
    ]  # fmt: skip
    if wide_columns(schema):
        encoded = XGBoostSpec(features=["target_encoding", "counts"])
        found.append(Candidate("xgboost_encoded", encoded, 8.0, _cost(0.3, 3e-6), _memory(table=2.0), most=0.3))
    kept = [candidate for candidate in found if candidate.name not in exclude]
    return sorted(kept, key=lambda candidate: -candidate.rank(shape))


def names() -> tuple[str, ...]:
    """All that a caller may exclude."""
    return (
        "linear", "xgboost", "xgboost_shallow", "xgboost_encoded", "tabm", "extra_trees", "mlp",
        "hist_gradient_boosting",
    )  # fmt: skip


def _cost(fixed_s: float, value_s: float, *, wide: bool = False) -> Callable[[Shape], float]:
    def seconds(shape: Shape) -> float:
        return fixed_s + value_s * shape.rows * (shape.width if wide else shape.columns) * shape.outputs

    return seconds


def _memory(
    *, table: float = 0.0, wide: float = 0.0, rows: float = 0.0, fixed: float = 50.0
) -> Callable[[Shape], float]:
    """`table`, `wide`: copies of the table and of its one-hot form; `rows`: MB a row and output."""

    def memory_mb(shape: Shape) -> float:
        values = shape.rows * ROW_BYTES * (table * shape.columns + wide * shape.width) / 1e6
        return fixed + values + rows * shape.rows * shape.outputs

    return memory_mb


def _width(schema: TableSchema) -> int:
    kinds: Mapping[str, Any] = {column.name: column for column in schema.features}
    return sum(min(column.unique, 100) if column.kind == "categorical" else 2 for column in kinds.values())
