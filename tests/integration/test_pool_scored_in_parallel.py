"""A large pool is scored by several processes of a real cluster, and the same rows are chosen as in one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dispatcher_cluster import local_cluster
from telling_strategy import Telling

from training.active_learning import view
from training.active_learning.query import run_query
from training.active_learning.spec import Counts, KnownLabel, PoolSpec, QuerySpec
from training.active_learning.strategies import STRATEGIES, base
from training.data import DataAccess, infer_schema, make_rows
from training.events import SilentObserver
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import DataSpec, SklearnSpec, SplitSpec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROWS, LABELLED = 4_000, 60
FOREST = SklearnSpec(estimator="random_forest", params={"n_estimators": 20})


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[QuerySpec, DataAccess, ScoringModel]:
    """A query over a pool of several chunks, and the model that chooses."""
    for module in (view, base):
        monkeypatch.setattr(module, "CHUNK_ROWS", 500)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "z": rng.normal(size=ROWS), "k": rng.choice(["p", "q"], ROWS)})
    frame.to_parquet(tmp_path / "pool.parquet")
    labelled = frame.head(LABELLED).assign(y=np.where(frame["x"].head(LABELLED) > 0, "yes", "no"))
    data = DataSpec.model_validate({"source": {"type": "inline", "rows": [{}]}, "target": "y"})
    schema = infer_schema(labelled, data, SplitSpec())
    rows = make_rows(labelled, schema, data, None)
    fitted = family_of(FOREST).fit(FOREST, FitData(schema, rows, rows), FitContext())
    features = tuple(Feature(column.name, column.kind) for column in schema.features)
    model = ScoringModel(fitted.predictor, schema.task, schema.classes, features, "y", None)
    source = {"type": "file", "uri": str(tmp_path / "pool.parquet")}
    plan = PoolSpec.model_validate({
        "name": "large", "data": {"source": source, "target": "y", "classes": ["no", "yes"]},
        "model": FOREST.model_dump(mode="json"),
    })  # fmt: skip
    labels = [KnownLabel(id=str(row), label=str(labelled["y"][row])) for row in range(LABELLED)]
    spec = QuerySpec(
        name="large", pool="p", round=1, plan=plan, take=Counts(active=30), version="1", labels=labels
    )  # fmt: skip
    return spec, DataAccess((str(tmp_path),), tmp_path), model


def chosen(spec: QuerySpec, access: DataAccess, model: ScoringModel) -> list[tuple[str, float]]:
    found = run_query(spec, access, lambda _version: model, SilentObserver())
    return [(item["id"], item["score"]) for item in found["items"]]


def test_the_same_rows_are_chosen_by_many_processes_as_by_one(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told").mkdir()
    telling = Telling(tmp_path / "told")
    monkeypatch.setitem(STRATEGIES, "margin", telling)
    alone = chosen(*asked)
    assert set(telling.processes()) == {os.getpid()}
    with local_cluster():
        together = chosen(*asked)
    assert together == alone
    assert len(alone) == 30
    others = [process for process in telling.processes() if process != os.getpid()]
    assert len(others) >= (ROWS - LABELLED) // 500


def test_members_disagree_in_other_processes_too(asked: Any) -> None:
    spec, access, model = asked
    spec = spec.model_copy(update={"plan": spec.plan.model_copy(update={"strategy": "query_by_committee"})})
    alone = chosen(spec, access, model)
    with local_cluster():
        assert chosen(spec, access, model) == alone
