"""What a data scientist would write: load, split, fit, 1,000 bootstrap samples, log and register. The baseline."""

from __future__ import annotations

import sys

import mlflow
import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

BOOTSTRAP_SAMPLES = 1000


def main(data: str, target: str, positive: str, tracking_uri: str) -> None:
    """Trains on a CSV and registers the model in the MLflow store."""
    frame = pd.read_csv(data)
    y = (frame.pop(target) == positive).astype(int)
    for column in frame.select_dtypes("object"):
        frame[column] = frame[column].astype("category")
    x_rest, x_test, y_rest, y_test = train_test_split(frame, y, test_size=0.2, random_state=0, stratify=y)
    x_train, x_valid, y_train, y_valid = train_test_split(x_rest, y_rest, test_size=0.2, random_state=0)
    model = xgb.XGBClassifier(
        n_estimators=2000, learning_rate=0.05, early_stopping_rounds=50, enable_categorical=True, tree_method="hist",
        n_jobs=1,
    )  # fmt: skip
    model.fit(x_train, y_train, eval_set=[(x_valid, y_valid)], verbose=False)
    scores, truth = model.predict_proba(x_test)[:, 1], y_test.to_numpy()

    generator = np.random.default_rng(0)
    measures = {
        "roc_auc": roc_auc_score,
        "average_precision": average_precision_score,
        "log_loss": log_loss,
        "brier_score": brier_score_loss,
        "f1": lambda t, s: f1_score(t, s >= 0.5),
    }
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(BOOTSTRAP_SAMPLES):
        rows = generator.integers(len(truth), size=len(truth))
        for name, measure in measures.items():
            values[name].append(measure(truth[rows], scores[rows]))

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params(model.get_params())
        for name, measure in measures.items():
            mlflow.log_metric(name, measure(truth, scores))
            mlflow.log_metric(f"{name}_low", float(np.quantile(values[name], 0.025)))
            mlflow.log_metric(f"{name}_high", float(np.quantile(values[name], 0.975)))
        mlflow.xgboost.log_model(
            model,
            name="model",
            registered_model_name="plain",
            input_example=x_test.head(3),
            pip_requirements=["xgboost", "pandas"],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
