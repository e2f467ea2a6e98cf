"""A training in stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.data.table import Column, Rows, TableSchema
from training.errors import FitError
from training.models import FitContext, FitData, Stage
from training.models.families import family_of
from training.spec import TorchSpec

PARAMS = {"max_epochs": 6, "n_seeds": 1, "d_block": 16, "n_blocks": 1, "k": 4, "numeric_embeddings": "none"}


def rows(count: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(count, 3))
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    return Rows(frame, (values[:, 0] + generator.normal(size=count) > 0).astype(np.int64), None)


COLUMNS = tuple(Column(name, "numeric", "feature", 0, 200) for name in ("a", "b", "c"))
DATA = FitData(TableSchema(COLUMNS, "y", "binary", ("0", "1"), ()), rows(200, 0), rows(100, 1))


def staged(folder: Path, rates: list[float]) -> tuple[list[float], list[int]]:
    """Best epochs so far after each stage, and the epochs that were told."""
    best, told, start = [], [], None
    for number, rate in enumerate(rates):
        spec = TorchSpec(params={**PARAMS, "learning_rate": rate})
        stage = Stage(number, len(rates), start, folder / f"{number}.pt")
        context = FitContext(stage=stage, on_step=lambda step, _: told.append(step))
        best.append(family_of(spec).fit(spec, DATA, context).facts["best_epoch"])
        start = stage.end
    return best, told


def test_stages_go_on_where_the_one_before_ended(tmp_path: Path) -> None:
    best, told = staged(tmp_path, [1e-3, 2e-3, 1e-3])

    assert told == [1, 2, 3, 4, 5, 6]
    assert best == sorted(best)


def test_more_stages_than_epochs_train_no_epoch_twice(tmp_path: Path) -> None:
    _, told = staged(tmp_path, [1e-3] * 9)

    assert told == [1, 2, 3, 4, 5, 6]


def test_a_stage_ends_at_the_step_that_it_is_told(tmp_path: Path) -> None:
    spec, told = TorchSpec(params=PARAMS), []
    stage = Stage(0, 2, None, tmp_path / "0.pt", until=2)

    family_of(spec).fit(spec, DATA, FitContext(stage=stage, on_step=lambda step, _: told.append(step)))

    assert told == [1, 2]


def test_a_state_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = TorchSpec(params=PARAMS)
    stage = Stage(1, 2, tmp_path / "gone.pt", tmp_path / "1.pt")

    with pytest.raises(FitError, match=r"gone\.pt"):
        family_of(spec).fit(spec, DATA, FitContext(stage=stage))
