"""What a pool is, and what one query over it is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from training.spec import ModelSpec, PoolLabel, ResourcesSpec, Source, SpecModel, Task, TuneSpec, XGBoostSpec
from training.spec.job import ModelName

StrategyName = Literal[
    "auto", "random", "least_confidence", "margin", "entropy", "query_by_committee", "bald", "expected_model_change",
    "core_set", "kmeans", "density_weighted", "badge", "cost_aware", "representative",
]  # fmt: skip
Part = Literal["test", "active", "random"]


class PoolData(SpecModel):
    """The rows of a pool and what each column is for."""

    source: Source
    """Rows to choose from. Values that they have in `target` are not looked at."""
    labelled: Source | None = None
    """Rows that came with labels: they are trained on, and never queried."""
    target: Annotated[str, Field(min_length=1)]
    """What the labels are of; becomes the column to predict."""
    task: Task = "binary"
    classes: Annotated[list[str], Field(max_length=1000)] = []
    """The labels that may be given, as text; at least two, and none for regression."""
    positive_class: str | None = None
    """Binary; default: the rarer one among the labels."""
    id_column: str | None = None
    """Names a row; never a feature. Default: rows are numbered from 0, in the order of the source."""
    include: list[str] | None = None
    """Feature columns. Default: all but those named elsewhere in `data`."""
    exclude: list[str] = []
    group_column: str | None = None
    """Such as a customer: a batch has few rows of one group, and no group is in training and in the test set."""
    cost_column: str | None = None
    """What the label of a row costs; never a feature."""
    show: list[str] = []
    """Columns that a labeller sees. Default: all but the target."""

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        if self.task == "regression" and self.classes:
            raise ValueError("classes: not for regression; leave them out")
        if self.task != "regression" and len(self.classes) < 2:
            raise ValueError("classes: name the labels that may be given, at least two")
        if self.task == "binary" and len(self.classes) != 2:
            raise ValueError(f"classes: a binary task has two, not {len(self.classes)}; or set task: multiclass")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: a label is given twice")
        if self.positive_class is not None and self.positive_class not in self.classes:
            raise ValueError("positive_class: not one of the classes; name one of them, or leave it out")
        return self


class PoolSpec(SpecModel):
    """A pool of rows without labels, and how it is to be labelled. Required: `name`, `data`."""

    name: ModelName
    """Registered model that is trained on the labels."""
    data: PoolData
    model: ModelSpec = XGBoostSpec()
    tune: TuneSpec | None = None
    """Searches for the best parameters at the first training; every later one begins with the best configurations of
    the searches before, and tries a quarter as many. Null trains with `model.params` as they are."""
    strategy: StrategyName = "auto"
    """auto: margin, or expected_model_change for regression."""
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 20
    initial_size: Annotated[int, Field(ge=10, le=10_000)] = 50
    """Labels before the first training; they are of representative and of random rows."""
    test_size: Annotated[int, Field(ge=20, le=20_000)] = 100
    """Rows of the frozen random test set; labelled first, never queried."""
    control_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the labels that goes to rows drawn at random: they say what the strategy gains."""
    max_per_group: Annotated[int, Field(ge=1, le=1000)] = 2
    """Rows of one group in a batch, where there is a group column."""
    retrain_every: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Labels from one training to the next. Default: batch_size."""
    retrain_gain: Annotated[float, Field(gt=0)] | None = None
    """Train instead as soon as the labels since the last training are expected, by the learning curve, to change the
    primary metric by so much: often while the curve is steep, seldom once it is flat. Until the curve has three points,
    and after ten times as many labels at the latest, `retrain_every` counts."""
    labels_per_row: Annotated[int, Field(ge=1, le=20)] = 1
    """Labellers who must agree on, or argue about, one row."""
    resolve: Literal["majority", "dawid_skene"] = "majority"
    """How several labels of one row become one."""
    budget: Annotated[float, Field(gt=0)] | None = None
    """Most that all labels may cost together; by count where rows have no cost."""
    cost_per_row: Annotated[float, Field(gt=0)] = 1.0
    """Where there is no cost column."""
    min_gain_per_cost: Annotated[float, Field(ge=0)] = 0.0
    """Advice to stop when the expected gain of the primary metric for one unit of cost falls below this."""
    lease_s: Annotated[float, Field(ge=1, le=7 * 86_400)] = 900.0
    """A row that was handed to a labeller goes to another one after so long."""
    resources: ResourcesSpec = ResourcesSpec()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    tags: Annotated[dict[str, str], Field(max_length=20)] = {}
    """Of each job of the pool."""

    @property
    def every(self) -> int:
        """Labels from one training to the next."""
        return self.retrain_every or self.batch_size


class Counts(SpecModel):
    """How many rows of each part to choose."""

    test: Annotated[int, Field(ge=0)] = 0
    active: Annotated[int, Field(ge=0)] = 0
    random: Annotated[int, Field(ge=0)] = 0


class KnownLabel(PoolLabel):
    """A label with the arm that its row belongs to."""

    arm: Part = "active"


class QuerySpec(SpecModel):
    """One look over a pool: which rows next, and what the labels so far have brought. The spec of a `query` job."""

    name: ModelName
    pool: str
    round: Annotated[int, Field(ge=0)] = 0
    plan: PoolSpec
    take: Counts
    version: str | None = None
    """Registered version that scores; None before the first training."""
    previous: str | None = None
    """The version before it, to see how stable predictions are."""
    measure: bool = False
    """Whether to fit and measure both arms."""
    labels: list[KnownLabel] = []
    test_ids: list[str] = []
    """Test rows that have no label yet."""
    handled: list[str] = []
    """Ids that are out already, without a label that counts."""
    priority: int = 10
    """Above trainings: somebody waits for rows."""
    tags: dict[str, str] = {}
    resources: ResourcesSpec = ResourcesSpec()


def example() -> dict[str, Any]:
    """A pool on the German credit data that ship with the project."""
    return {
        "name": "german-credit-labels",
        "data": {
            "source": {"type": "file", "uri": "examples/data/german_credit.csv"},
            "target": "creditability",
            "classes": ["good", "bad"],
            "positive_class": "bad",
        },
        "batch_size": 20,
        "test_size": 100,
    }
