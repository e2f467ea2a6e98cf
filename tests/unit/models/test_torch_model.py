"""The torch family: what it keeps, when it stops, what it tells."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from family_specs import ABSURD_NETWORK
from torch import nn

from training.data.table import Column, Rows, TableSchema
from training.errors import DataError, FitError, JobCancelledError
from training.events import SilentObserver
from training.models import FitContext, FitData, FittedModel
from training.models.torch_model import TorchFamily
from training.mts_scoring.network_base import Inputs, Network
from training.mts_scoring.networks import NetworkPlan
from training.mts_scoring.registry import PREDICTORS
from training.spec import TorchArchitecture, TorchSpec

KINDS = {"age": "numeric", "debt": "numeric", "purpose": "categorical"}
CLASSES = {"binary": ("no", "yes"), "regression": ()}
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden_sizes": [16], "n_seeds": 1},
    "tabm": {"k": 4, "d_block": 16},
    "ft_transformer": {"n_blocks": 1, "d_block": 8, "attention_n_heads": 2, "learning_rate": 0.005},
}
every_architecture = pytest.mark.parametrize("architecture", SMALL)


def rows_of(task: str, count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(18, 80, count),
            "debt": rng.exponential(5, count),
            "purpose": rng.choice(["car", "house"], count),
        }
    )
    score = frame["age"] / 20 - frame["debt"] / 5 + (frame["purpose"] == "car") + 0.5 * rng.normal(size=count)
    if task == "regression":
        return Rows(frame, score.to_numpy() * 1000 + 50_000, None)
    return Rows(frame, (score > 2).to_numpy().astype(np.int64), None)


def schema_of(task: str = "binary", kinds: Mapping[str, str] = KINDS) -> TableSchema:
    columns = tuple(Column(name, kind, "feature", 0, 2) for name, kind in kinds.items())
    return TableSchema(columns, "t", task, CLASSES[task], ())


def data_of(task: str = "binary", *, validation: bool = True) -> FitData:
    return FitData(schema_of(task), rows_of(task, 200, 1), rows_of(task, 80, 2) if validation else None)


def fit(
    params: Mapping[str, Any] | None = None,
    data: FitData | None = None,
    architecture: TorchArchitecture = "tabm",
    **context: Any,
) -> FittedModel:
    spec = TorchSpec(architecture=architecture, params={"max_epochs": 20, **SMALL[architecture], **(params or {})})
    return TorchFamily().fit(spec, data or data_of(), FitContext(**context))


class Listening(SilentObserver):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.figures: list[Mapping[str, float]] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        assert step is not None
        self.steps.append(step)
        self.figures.append(values)


def test_the_best_epoch_is_kept() -> None:
    data = data_of()
    assert data.validation is not None
    fitted = fit({"max_epochs": 60, "patience": 5, "learning_rate": 0.02})
    scores = fitted.predictor.predict(data.validation.frame)
    log_loss = -np.log(scores[np.arange(80), data.validation.target]).mean()
    assert log_loss == pytest.approx(fitted.facts["best_validation_log_loss"], rel=1e-5)
    assert fitted.facts["epochs"] == fitted.facts["best_epoch"] + 5


def test_the_metric_of_a_regression_is_in_the_units_of_its_target() -> None:
    data = data_of("regression")
    assert data.validation is not None
    fitted = fit(data=data)
    errors = fitted.predictor.predict(data.validation.frame) - data.validation.target
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(fitted.facts["best_validation_rmse"], rel=1e-4)
    assert fitted.facts["best_validation_rmse"] < 0.9 * data.validation.target.std()


def test_far_outside_of_training_a_regression_stays_within_its_values() -> None:
    data = data_of("regression")
    scores = fit(data=data, architecture="mlp").predictor.predict(data.train.frame.assign(debt=1e30, age=-1e30))
    assert scores.min() >= data.train.target.min()
    assert scores.max() <= data.train.target.max()


@pytest.mark.slow
def test_several_seeds_are_averaged() -> None:
    data = data_of()
    both = fit({"n_seeds": 2}, seed=3)
    alone = fit({"n_seeds": 1}, seed=3)
    assert both.facts["num_networks"] == 2
    assert both.facts["num_parameters"] == alone.facts["num_parameters"]
    predictor: Any = both.predictor
    first = type(predictor)(predictor.encoder, predictor.plan, predictor.networks[:1], num_classes=2)
    np.testing.assert_array_equal(first.predict(data.train.frame), alone.predictor.predict(data.train.frame))
    assert not np.array_equal(both.predictor.predict(data.train.frame), alone.predictor.predict(data.train.frame))


@pytest.mark.slow
@every_architecture
def test_a_fit_leaves_the_random_numbers_of_the_process_alone(architecture: TorchArchitecture) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = fit(architecture=architecture, seed=1)
    assert torch.equal(torch.rand(3), expected)
    second = fit(architecture=architecture, seed=1)
    frame = data_of().train.frame
    np.testing.assert_array_equal(first.predictor.predict(frame), second.predictor.predict(frame))
    other = fit(architecture=architecture, seed=2)
    assert not np.array_equal(first.predictor.predict(frame), other.predictor.predict(frame))


@every_architecture
def test_the_best_so_far_comes_back_at_the_deadline(architecture: TorchArchitecture) -> None:
    fitted = fit(
        {"max_epochs": 100_000, "n_seeds": 3, "patience": 0}, architecture=architecture, deadline=time.monotonic() + 0.5
    )
    assert np.isfinite(fitted.predictor.predict(data_of().train.frame)).all()
    assert fitted.facts["epochs"] < 100_000


def test_a_deadline_that_has_passed_still_gives_a_model() -> None:
    fitted = fit({"n_seeds": 3}, deadline=time.monotonic() - 1.0)
    assert fitted.facts["num_networks"] == 1
    assert np.isfinite(fitted.predictor.predict(data_of().train.frame)).all()


def test_each_epoch_is_told() -> None:
    observer = Listening()
    fitted = fit({"n_seeds": 2, "patience": 0}, observer=observer)
    assert observer.steps == sorted(observer.steps)
    assert observer.steps[-1] == 2 * fitted.facts["epochs"] == 40
    assert set(observer.figures[-1]) == {"train/loss", "validation/log_loss"}


def test_a_cancelled_job_ends_the_fit_and_gives_the_threads_back() -> None:
    class Cancelling(SilentObserver):
        def progress(self, fraction: float, eta_s: float | None = None) -> None:
            raise JobCancelledError("cancelled")

    before = torch.get_num_threads()
    with pytest.raises(JobCancelledError):
        fit(observer=Cancelling(), cpus=before + 1)
    assert torch.get_num_threads() == before


def test_a_loss_that_is_no_number_is_tried_again_with_a_lower_rate_and_then_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = data_of()
    weight = np.ones(200)
    weight[0] = np.nan
    spoilt = FitData(data.schema, Rows(data.train.frame, data.train.target, weight), data.validation)
    with caplog.at_level(logging.WARNING, "training"), pytest.raises(FitError, match="became NaN") as caught:
        fit({"learning_rate": 0.04}, spoilt)
    assert "learning_rate 0.01" in caplog.text
    assert "model.params.learning_rate" in caught.value.hint


class Spoilt(Network):
    """Learns for two epochs and some batches of a third; from then on it answers no numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(2))
        self.batches = 0

    def forward(self, inputs: Inputs) -> torch.Tensor:
        self.batches += self.training
        level = self.level if self.batches <= 16 or not self.training else self.level * torch.nan
        return level.expand(len(inputs.numbers), 1, 2)


def test_a_loss_that_is_no_number_later_on_leaves_the_best_epoch_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NetworkPlan, "build", lambda plan, seed, start=None: Spoilt())
    fitted = fit({"batch_size": 32, "learning_rate": 0.01})
    assert fitted.facts["best_epoch"] in {1, 2}
    [note] = fitted.notes
    assert "with learning_rate 0.01 and again with 0.0025; the network is as after the best epoch before" in note
    assert "lower model.params.learning_rate" in note
    scores = fitted.predictor.predict(data_of().train.frame)
    assert scores[0, 1] == pytest.approx(data_of().train.target.mean(), abs=0.2)
    assert scores[0, 1] != 0.5


@pytest.mark.slow
def test_steps_beyond_all_reason_name_the_parameter_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an epoch came to its end before depends on the last digits of the machine."""
    monkeypatch.setattr("training.models.torch_fitting.RETRY_FACTOR", 1.0)
    try:
        told = " ".join(fit(ABSURD_NETWORK, data_of("regression")).notes)
    except FitError as error:
        told = f"{error.message}; {error.hint}"
    assert "the loss became NaN or infinite, with learning_rate 1 and again with 1" in told
    assert "lower model.params.learning_rate" in told


def test_without_validation_rows_the_number_of_epochs_is_chosen_within_the_training_rows() -> None:
    fitted = fit({"max_epochs": 60, "patience": 5, "learning_rate": 0.05}, data_of(validation=False))
    assert 1 <= fitted.facts["epochs"] < 60
    assert "best_validation_log_loss" not in fitted.facts


def test_without_patience_and_validation_rows_all_epochs_run() -> None:
    assert fit({"max_epochs": 7, "patience": 0}, data_of(validation=False)).facts["epochs"] == 7


def test_rare_classes_keep_honest_probabilities() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=4000)})
    target = (rng.random(4000) < 0.02).astype(np.int64)
    data = FitData(
        schema_of(kinds={"x": "numeric"}),
        Rows(frame[:3000], target[:3000], None),
        Rows(frame[3000:], target[3000:], None),
    )
    scores = fit({"max_epochs": 5}, data).predictor.predict(frame)
    assert scores[:, 1].mean() == pytest.approx(0.02, abs=0.015)


@pytest.mark.parametrize("numeric_embeddings", ["piecewise_linear", "periodic", "none"])
@pytest.mark.parametrize("arch_type", ["tabm", "tabm-mini", "tabm-packed"])
def test_the_kinds_of_tabm(numeric_embeddings: str, arch_type: str, tmp_path: Path) -> None:
    options = {"numeric_embeddings": numeric_embeddings, "arch_type": arch_type, "max_epochs": 2, "max_one_hot": 1}
    fitted = fit(options)
    fitted.predictor.save(tmp_path)
    frame = data_of().train.frame
    loaded = PREDICTORS["tabm"].load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(frame), fitted.predictor.predict(frame))


@every_architecture
def test_loading_needs_no_pickle_and_leaves_random_numbers_alone(
    architecture: TorchArchitecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(architecture=architecture)
    fitted.predictor.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.json", "network.json", "weights.safetensors"]
    json.loads((tmp_path / "network.json").read_text())
    monkeypatch.setattr("pickle.Unpickler", None)
    before = torch.get_rng_state()
    loaded = PREDICTORS[architecture].load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    frame = data_of().train.frame
    np.testing.assert_array_equal(loaded.predict(frame), fitted.predictor.predict(frame))


@pytest.mark.slow
@every_architecture
@pytest.mark.parametrize("kinds", [{"age": "numeric"}, {"purpose": "categorical"}], ids=["numbers", "categories"])
def test_one_kind_of_column_is_enough(architecture: TorchArchitecture, kinds: dict[str, str]) -> None:
    data = data_of()
    scores = fit(data=FitData(schema_of(kinds=kinds), data.train, data.validation), architecture=architecture)
    assert np.isfinite(scores.predictor.predict(data.train.frame)).all()


def test_columns_that_never_vary_in_training_are_an_error_of_the_data() -> None:
    data = data_of()
    constant = Rows(data.train.frame.assign(age=1.0), data.train.target, None)
    with pytest.raises(DataError, match="no column varies"):
        fit(data=FitData(schema_of(kinds={"age": "numeric"}), constant, None))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens where there is no GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(FitError, match="PyTorch finds none") as caught:
        fit(gpus=1)
    assert "resources.gpus_per_worker" in caught.value.hint
