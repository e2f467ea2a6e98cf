"""Learning curves of active against random labels on three real tables: python -m benchmarks.active_curves FOLDER.

Each seed draws a pool and a test set, starts from the same 50 random labels for both arms, and goes on in growing
batches. The answer is how many labels the strategy needs for the figure that the random arm ends with, as a share of
that arm's labels. FOLDER has adult.parquet, uci_credit_default.parquet and brfss_heart.parquet.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from training.active_learning.strategies import STRATEGIES
from training.active_learning.view import View
from training.data import infer_schema, make_rows, split_rows
from training.evaluation import point_metrics
from training.models import FitContext, FitData
from training.models.families import family_of
from training.mts_scoring.model import Feature, ScoringModel
from training.spec import DataSpec, SplitSpec, TorchSpec, XGBoostSpec

TARGETS = {"adult": "income", "uci_credit_default": "default", "brfss_heart": "HeartDisease"}
LEFT_OUT = {"adult": ["uci_split"]}
SEEDS = range(5)
RESAMPLES = 2_000
STEPS = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1_000, 1_400, 2_000, 3_000)
EXTRA = (3_300,)
"""The strategy may need 1.1 times the labels."""
POOL_ROWS, TEST_ROWS = 20_000, 8_000
PART = "pool_part"
SERVICE = "margin_with_control"
CONTROL_SHARE = 0.2
"""Random rows among the labels, as in the service: the registered model is trained on both arms."""
MODELS: dict[str, XGBoostSpec | TorchSpec] = {
    "trees": XGBoostSpec(params={
        "n_estimators": 150, "learning_rate": 0.05, "max_depth": 4, "min_child_weight": 3, "reg_lambda": 3,
        "subsample": 0.7, "colsample_bytree": 0.5, "early_stopping_rounds": 0,
    }),
    "tabm": TorchSpec(architecture="tabm", params={
        "n_seeds": 1, "max_epochs": 6, "patience": 0, "batch_size": 32, "learning_rate": 1e-3, "n_bins": 16,
    }),
}  # fmt: skip
"""For few labels: careful, and without early stopping, which takes a fifth of them."""
PLOT = Path(__file__).parents[1] / "docs" / "active_learning"


@dataclass(frozen=True)
class Task:
    """One draw of one table."""

    pool: pd.DataFrame
    test: pd.DataFrame
    target: str
    seed: int
    spec: XGBoostSpec | TorchSpec

    @classmethod
    def drawn(cls, path: Path, seed: int, model: str) -> Task:
        name = path.stem
        frame = pd.read_parquet(path).drop(columns=LEFT_OUT.get(name, []))
        order = np.random.default_rng(seed).permutation(len(frame))
        rows = frame.iloc[order[: POOL_ROWS + TEST_ROWS]].reset_index(drop=True)
        rows[TARGETS[name]] = rows[TARGETS[name]].map(str)
        test = rows.iloc[:TEST_ROWS]
        return cls(rows.iloc[TEST_ROWS:].reset_index(drop=True), test, TARGETS[name], seed, MODELS[model])

    def fitted(self, labelled: np.ndarray[Any, Any]) -> tuple[ScoringModel, float]:
        """A model of some labels, and its ROC AUC on the test set."""
        train = self.pool.iloc[labelled].assign(**{PART: "train"})
        frame = pd.concat([train, self.test.assign(**{PART: "test"})], ignore_index=True)
        data = DataSpec.model_validate({"source": {"type": "inline", "rows": [{}]}, "target": self.target})
        split_spec = SplitSpec(strategy="predefined", column=PART, seed=self.seed)
        schema = infer_schema(frame, data, split_spec)
        split = split_rows(frame, schema, data, split_spec)
        learnt = np.sort(np.concatenate([split.train, split.validation]))
        fit, test = (make_rows(frame, schema, data, part) for part in (learnt, split.test))
        found = family_of(self.spec).fit(self.spec, FitData(schema, fit, None), FitContext(seed=self.seed))
        features = tuple(Feature(column.name, column.kind) for column in schema.features)
        model = ScoringModel(found.predictor, schema.task, schema.classes, features, self.target, None)
        auc = point_metrics(schema.task, test.target, found.predictor.predict(test.frame), None, ["roc_auc"])["roc_auc"]
        return model, auc

    def view(self, free: np.ndarray[Any, Any], labelled: np.ndarray[Any, Any], model: ScoringModel) -> View:
        frame = self.pool.drop(columns=[self.target])
        some = frame.take(free).reset_index(drop=True)
        return View(
            frame=some, features=model.features, groups=None, costs=None, model=model, max_per_group=1,
            seed=self.seed + len(labelled),
            duplicates=pd.factorize(pd.util.hash_pandas_object(some, index=False))[0].astype(np.int64),
            labelled=frame.take(labelled), targets=np.zeros(len(labelled)),
        )  # fmt: skip


def curve(task: Task, strategy: str) -> list[tuple[int, float]]:
    """(labels, ROC AUC) of one arm."""
    order = np.random.default_rng(task.seed + 1000).permutation(len(task.pool))
    labelled = order[: STEPS[0]]
    points = []
    steps = STEPS if strategy == "random" else STEPS + EXTRA
    for step, size in enumerate(steps):
        model, auc = task.fitted(labelled)
        points.append((size, auc))
        if step + 1 == len(steps):
            break
        wanted = steps[step + 1]
        if strategy == "random":
            labelled = order[:wanted]
        else:
            free = np.setdiff1d(np.arange(len(task.pool)), labelled)
            share = CONTROL_SHARE if strategy == SERVICE else 0.0
            controls = np.random.default_rng(task.seed + size).permutation(free)[: round(share * (wanted - size))]
            free = np.setdiff1d(free, controls)
            name = "margin" if strategy == SERVICE else strategy
            picks = STRATEGIES[name].pick(task.view(free, labelled, model), wanted - size - len(controls))
            labelled = np.concatenate([labelled, controls, free[picks.rows]])
    return points


def labels_needed(points: list[tuple[int, float]], level: float) -> float:
    """Where the curve first reaches the level, by a line between points on the logarithm of labels; inf if nowhere."""
    for (before, low), (after, high) in itertools.pairwise(points):
        if low >= level:
            return before
        if high >= level:
            share = (level - low) / (high - low)
            return float(np.exp(np.log(before) + share * np.log(after / before)))
    return float("inf")


def mean_curve(curves: list[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Of all seeds."""
    return [(curves[0][i][0], float(np.mean([c[i][1] for c in curves]))) for i in range(len(curves[0]))]


def interval(random: list[list[tuple[int, float]]], active: list[list[tuple[int, float]]]) -> tuple[float, float]:
    """Of the ratio of the mean curves, 95 %, by a bootstrap over the seeds; inf where the level is not reached."""
    final, draws = STEPS[-1], np.random.default_rng(0).integers(0, len(random), (RESAMPLES, len(random)))
    found = []
    for draw in draws:
        level = dict(mean_curve([random[seed] for seed in draw]))[final]
        found.append(labels_needed(mean_curve([active[seed] for seed in draw]), level) / final)
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def place(name: str, strategy: str, model: str) -> Path:
    """Of the curves and their plot, without the suffix."""
    return PLOT / "_".join([name, *([] if model == "trees" else [model]), strategy])


def measured(folder: Path, name: str, strategy: str, model: str) -> dict[str, Any]:
    """All seeds of one table."""
    earlier = place(name, "margin", model).with_suffix(".json")
    arms: dict[str, list[list[tuple[int, float]]]] = {"random": [], strategy: []}
    if strategy != "margin" and earlier.exists():
        # the same draws give the same curve
        arms["random"] = [
            [(size, value) for size, value in one] for one in json.loads(earlier.read_text())["curves"]["random"]
        ]
    for seed in SEEDS:
        started = time.monotonic()
        task = Task.drawn(folder / f"{name}.parquet", seed, model)
        for arm, curves in arms.items():
            if len(curves) <= seed:
                curves.append(curve(task, arm))
        print(f"{name} {model} {strategy} seed {seed}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    final = STEPS[-1]
    ratios = [
        labels_needed(active, dict(random)[final]) / final
        for active, random in zip(arms[strategy], arms["random"], strict=True)
    ]
    mean = {arm: mean_curve(curves) for arm, curves in arms.items()}
    return {
        "data": name, "model": model, "strategy": strategy, "curves": arms, "ratios": ratios,
        "ratio_of_means": labels_needed(mean[strategy], dict(mean["random"])[final]) / final,
        "interval": interval(arms["random"], arms[strategy]),
        "final_random": dict(mean["random"])[final], "final_active": dict(mean[strategy])[final],
    }  # fmt: skip


def plot(found: dict[str, Any]) -> None:
    """Curves of both arms: the mean of the seeds, and the band of all of them."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for arm, colour in (("random", "#888888"), (found["strategy"], "#1f6feb")):
        curves = np.array([[value for _, value in one] for one in found["curves"][arm]])
        labels = [size for size, _ in found["curves"][arm][0]]
        axes.plot(labels, curves.mean(axis=0), color=colour, label=arm, marker="o", markersize=3)
        axes.fill_between(labels, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    title = f"{found['data']}, {found['model']}"
    axes.set(xscale="log", xlabel="labels", ylabel="ROC AUC on the test set", title=title)
    axes.legend()
    axes.grid(alpha=0.3)
    PLOT.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    target = place(found["data"], found["strategy"], found["model"]).with_suffix(".svg")
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Prints a line for each table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.active_curves", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--strategy", choices=[*STRATEGIES, SERVICE], default="margin")
    parser.add_argument("--model", choices=MODELS, default="trees")
    given = parser.parse_args()
    for name in given.data:
        found = measured(given.folder, name, given.strategy, given.model)
        plot(found)
        ratios = [f"{ratio:.2f}" for ratio in found["ratios"]]
        print(
            f"{name}: {given.strategy} with {given.model} needs {found['ratio_of_means']:.2f} x the labels"
            f" ({found['interval'][0]:.2f} to {found['interval'][1]:.2f}; seeds {', '.join(ratios)}); ROC AUC with"
            f" {STEPS[-1]} labels: random {found['final_random']:.4f}, {given.strategy} {found['final_active']:.4f}",
            flush=True,
        )
        target = place(name, given.strategy, given.model).with_suffix(".json")
        target.write_text(json.dumps(found, indent=None) + "\n")


if __name__ == "__main__":
    main()
