"""The parameters of the torch family: names, ranges, published defaults, and what follows from the number of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from training.errors import Problem, SpecError, shown
from training.spec import SpecModel, TorchArchitecture
from training.spec.parsing import spec_problems

Schedule = Literal["coslog4", "cosine", "constant"]
Metric = Literal["log_loss", "roc_auc", "error", "rmse", "mae"]

METRICS: dict[str, tuple[Metric, ...]] = {
    "binary": ("log_loss", "roc_auc", "error"),
    "multiclass": ("log_loss", "error"),
    "regression": ("rmse", "mae"),
}
"""What early stopping may watch, the default first. Log loss is the default for classes: it is smooth in the scores,
so that it tells epochs apart on few validation rows, and it holds the probabilities to their meaning."""

FEW_ROWS = 5_000
"""Below so many rows, a network that depends much on its seed is averaged over several by default."""
MANY_ROWS = 10_000
"""From so many rows on, all members of an ensemble learn from the same batches, and patience is shorter."""

CHANGEABLE = frozenset({
    "learning_rate", "weight_decay", "dropout", "attention_dropout", "ffn_dropout", "residual_dropout",
    "label_smoothing", "gradient_clip_norm", "batch_size",
})  # fmt: skip
"""What neither the shape of a network nor the meaning of its weights depends on."""

RESERVED = {
    "random_state": "set split.seed instead",
    "seed": "set split.seed instead",
    "device": "set resources.gpus_per_worker instead",
    "n_jobs": "set resources.cpus_per_worker instead",
    "num_threads": "set resources.cpus_per_worker instead",
    "class_weight": "it would distort the probabilities; set data.weight_column or evaluation.cost_matrix instead",
    "early_stopping_rounds": "its name is patience",
    "n_epochs": "its name is max_epochs",
    "epochs": "its name is max_epochs",
    "lr": "its name is learning_rate",
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; every default filled in."""

    epochs: int
    patience: int
    """0: training never ends early."""
    patience_factor: float
    """Training ends after patience + patience_factor times the best epoch."""
    batch_size: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    schedule: Schedule
    fades_regularization: bool
    """Dropout and weight decay fall to zero over the second half (flat_cos of arXiv:2407.04491, appendix A)."""
    gradient_clip_norm: float | None
    label_smoothing: float
    last_epoch: int
    """Where training stops although the schedules run on to `epochs`; `epochs` if they end together."""
    shares_batches: bool
    """Whether all members of an ensemble learn from the same batches, or each from batches of its own."""
    metric: Metric

    @property
    def maximize(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric == "roc_auc"

    def is_over(self, epoch: int, best_epoch: int) -> bool:
        """Whether training ends early after an epoch."""
        return self.patience > 0 and epoch >= self.patience + self.patience_factor * best_epoch


class NetworkParams(SpecModel):
    """What the architectures have in common. None: it follows from the task or from the number of rows."""

    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    fades_regularization: ClassVar[bool] = False
    default_patience: ClassVar[int] = 16
    """Half as many epochs on MANY_ROWS and more: there the validation metric is less noisy, and an epoch takes long."""
    patience_factor: ClassVar[float] = 1.0
    few_row_seeds: ClassVar[int] = 1
    batch_sizes: ClassVar[tuple[tuple[float, int], ...]] = (
        (2_800, 32), (4_500, 64), (6_400, 128), (32_000, 256), (108_000, 512), (math.inf, 1024),
    )  # fmt: skip
    """Default batch size below so many rows: what Gorishniy inferred from the choices of arXiv:2410.24210, see
    get_tabm_auto_batch_size in pytabkit."""
    epoch_rows: ClassVar[int]
    """Default max_epochs times rows, on large data."""
    epoch_range: ClassVar[tuple[int, int]]
    """Bounds of the default of max_epochs."""
    rates: ClassVar[tuple[float, float]]
    """Default learning rate for classes, and for a regression."""

    n_seeds: int | None = Field(default=None, ge=1, le=64)
    """Networks that are trained from different initial weights and averaged."""
    max_epochs: int | None = Field(default=None, ge=1, le=100_000)
    patience: int | None = Field(default=None, ge=0)
    """Training ends so many epochs after the best one on the validation rows; 0: never early."""
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    weight_decay: float = Field(ge=0, le=10)
    schedule: Schedule = "constant"
    gradient_clip_norm: float | None = Field(default=1.0, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Off by default, as arXiv:2407.04491 advises where ROC AUC or log loss counts: it pulls probabilities together."""
    eval_metric: Metric | None = None
    """Metric on the validation rows that early stopping and the choice of the best epoch watch."""
    scaling: Literal["robust", "quantile"] = "quantile"

    def options(self, task: str) -> dict[str, Any]:
        """Arguments of the network."""
        raise NotImplementedError

    def num_networks(self, rows: int) -> int:
        """Networks to train on so many rows: by default several where a single one depends much on its seed."""
        return self.n_seeds or (self.few_row_seeds if rows < FEW_ROWS else 1)

    def shares_batches(self, rows: int) -> bool:
        """Whether all members of an ensemble learn from the same batches."""
        return rows >= MANY_ROWS

    def recipe(self, task: str, rows: int) -> Recipe:
        """How to train on so many rows."""
        low, high = self.epoch_range
        epochs = self.max_epochs or min(high, max(low, self.epoch_rows // max(1, rows)))
        return Recipe(
            epochs=epochs,
            last_epoch=epochs,
            patience=self.default_patience // (1 + (rows >= MANY_ROWS)) if self.patience is None else self.patience,
            patience_factor=self.patience_factor,
            batch_size=self.batch_size or next(size for below, size in self.batch_sizes if rows < below),
            learning_rate=self.learning_rate or self.rates[task == "regression"],
            betas=self.betas,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            fades_regularization=self.fades_regularization,
            gradient_clip_norm=self.gradient_clip_norm,
            label_smoothing=self.label_smoothing if task != "regression" else 0.0,
            shares_batches=self.shares_batches(rows),
            metric=self.eval_metric or METRICS[task][0],
        )


class MLPParams(NetworkParams):
    """RealMLP-TD, arXiv:2407.04491, appendix A, table A.1."""

    betas: ClassVar[tuple[float, float]] = (0.9, 0.95)
    fades_regularization: ClassVar[bool] = True
    default_patience: ClassVar[int] = 40
    patience_factor: ClassVar[float] = 3.0
    """Later cycles of the learning rate may be better. The paper trains all epochs; patience 0 does that."""
    few_row_seeds: ClassVar[int] = 4
    batch_sizes: ClassVar[tuple[tuple[float, int], ...]] = ((100_000, 256), (math.inf, 1024))
    epoch_rows: ClassVar[int] = 256 * 20_000
    epoch_range: ClassVar[tuple[int, int]] = (32, 256)
    rates: ClassVar[tuple[float, float]] = (0.04, 0.2)

    weight_decay: float = Field(default=0.02, ge=0, le=10)
    schedule: Schedule = "coslog4"
    gradient_clip_norm: float | None = Field(default=None, gt=0)
    scaling: Literal["robust", "quantile"] = "robust"
    hidden_sizes: tuple[int, ...] = Field(default=(256, 256, 256), min_length=1, max_length=16)
    activation: Literal["selu", "mish", "relu"] | None = None
    dropout: float = Field(default=0.15, ge=0, lt=1)
    numeric_embeddings: Literal["pbld", "none"] = "pbld"
    d_embedding: int = Field(default=4, ge=2, le=256)
    n_frequencies: int = Field(default=16, ge=1, le=1024)
    frequency_scale: float = Field(default=0.1, gt=0)
    max_one_hot: int = Field(default=9, ge=0)
    category_embedding: int = Field(default=8, ge=1, le=1024)

    @model_validator(mode="after")
    def _positive_sizes(self) -> MLPParams:
        if min(self.hidden_sizes) < 1 or max(self.hidden_sizes) > 8192:
            raise ValueError("hidden_sizes: each is between 1 and 8192")
        return self

    def options(self, task: str) -> dict[str, Any]:
        """Arguments of the network."""
        names = {
            "dropout", "numeric_embeddings", "d_embedding", "n_frequencies", "frequency_scale", "max_one_hot",
            "category_embedding",
        }  # fmt: skip
        activation = self.activation or ("mish" if task == "regression" else "selu")
        return self.model_dump(include=names) | {"hidden_sizes": list(self.hidden_sizes), "activation": activation}


class TabMParams(NetworkParams):
    """arXiv:2410.24210, appendix D, and the example of the package; narrower layers, for they run on few cores."""

    epoch_rows: ClassVar[int] = 100 * 20_000
    epoch_range: ClassVar[tuple[int, int]] = (16, 100)
    rates: ClassVar[tuple[float, float]] = (2e-3, 2e-3)

    weight_decay: float = Field(default=3e-4, ge=0, le=10)
    k: int = Field(default=32, ge=1, le=256)
    n_blocks: int = Field(default=2, ge=1, le=16)
    d_block: int = Field(default=128, ge=1, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    arch_type: Literal["tabm", "tabm-mini", "tabm-packed"] = "tabm"
    share_training_batches: bool | None = None
    """Whether the members learn from the same batches: faster, and slightly worse. By default on large data only."""
    numeric_embeddings: Literal["piecewise_linear", "periodic", "none"] = "piecewise_linear"
    n_bins: int = Field(default=48, ge=2, le=1024)
    d_embedding: int = Field(default=16, ge=1, le=256)
    max_one_hot: int = Field(default=64, ge=0)
    category_embedding: int = Field(default=16, ge=1, le=1024)

    def options(self, task: str) -> dict[str, Any]:
        """Arguments of the network but the bins, which follow from the rows."""
        names = {
            "k", "n_blocks", "d_block", "dropout", "arch_type", "numeric_embeddings", "d_embedding", "max_one_hot",
            "category_embedding",
        }  # fmt: skip
        return self.model_dump(include=names)

    def shares_batches(self, rows: int) -> bool:
        """See share_training_batches."""
        return rows >= MANY_ROWS if self.share_training_batches is None else self.share_training_batches


class FTTransformerParams(NetworkParams):
    """arXiv:2106.11959, appendix E, in the size that the authors' package gives to two blocks."""

    epoch_rows: ClassVar[int] = 60 * 20_000
    epoch_range: ClassVar[tuple[int, int]] = (12, 100)
    rates: ClassVar[tuple[float, float]] = (1e-4, 1e-4)

    weight_decay: float = Field(default=1e-5, ge=0, le=10)
    n_blocks: int = Field(default=2, ge=1, le=16)
    d_block: int = Field(default=128, ge=1, le=2048)
    attention_n_heads: int = Field(default=8, ge=1, le=64)
    attention_dropout: float = Field(default=0.15, ge=0, lt=1)
    ffn_d_hidden_multiplier: float = Field(default=4 / 3, gt=0, le=16)
    ffn_dropout: float = Field(default=0.05, ge=0, lt=1)
    residual_dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_block(self) -> FTTransformerParams:
        if self.d_block % self.attention_n_heads:
            raise ValueError(
                f"d_block: {self.d_block} is no multiple of attention_n_heads, which is {self.attention_n_heads}"
            )
        return self

    def options(self, task: str) -> dict[str, Any]:
        """Arguments of the network."""
        names = {
            "n_blocks", "d_block", "attention_n_heads", "attention_dropout", "ffn_d_hidden_multiplier", "ffn_dropout",
            "residual_dropout",
        }  # fmt: skip
        return self.model_dump(include=names)


PARAMS: dict[TorchArchitecture, type[NetworkParams]] = {
    "mlp": MLPParams,
    "tabm": TabMParams,
    "ft_transformer": FTTransformerParams,
}


def check_params(architecture: TorchArchitecture, given: Mapping[str, Any], task: str) -> NetworkParams:
    """Checks names and values.

    Raises:
        SpecError: one problem for each parameter at fault.
    """
    kind = PARAMS[architecture]
    problems = [
        Problem(f"model.params.{name}", shown(value), f"reserved: {RESERVED[name]}")
        for name, value in given.items()
        if name in RESERVED
    ]
    if not problems:
        try:
            params = kind.model_validate(dict(given))
        except ValidationError as error:
            problems = [_named(architecture, problem, given) for problem in spec_problems(kind, dict(given), error)]
        else:
            if params.eval_metric is None or params.eval_metric in METRICS[task]:
                return params
            message = f"does not suit a {task} task; possible: {', '.join(METRICS[task])}"
            problems = [Problem("model.params.eval_metric", params.eval_metric, message)]
    raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)


def _named(architecture: str, problem: Problem, given: Mapping[str, Any]) -> Problem:
    """The problem under its full path. One about several parameters names the first of them in its message."""
    field, message = problem.field, problem.message
    if not field:
        field, message = message.split(": ", 1)
    message = message.replace("unknown field", f"{architecture} has no such parameter")
    return Problem(f"model.params.{field}", shown(given.get(field.split(".")[0])), message)
