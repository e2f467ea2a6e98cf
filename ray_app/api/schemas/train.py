"""Wire types of POST /train: the spec itself; here are its examples."""

from __future__ import annotations

from typing import Any

GERMAN_CREDIT: dict[str, Any] = {
    "name": "german-credit",
    "data": {
        "source": {"type": "file", "uri": "examples/data/german_credit.csv"},
        "target": "creditability",
        "positive_class": "bad",
    },
}

TRAIN_EXAMPLES: dict[str, dict[str, Any]] = {
    "smallest": {
        "summary": "German credit with every default: XGBoost, stratified split, promotion if better",
        "value": GERMAN_CREDIT,
    },
    "forest": {
        "summary": "A random forest, two slices, costs that move the decision threshold",
        "value": {
            **GERMAN_CREDIT,
            "model": {"family": "sklearn", "estimator": "random_forest", "params": {"n_estimators": 300}},
            "split": {"strategy": "stratified", "test_size": 0.25, "seed": 7},
            "evaluation": {
                "slices": ["housing"],
                "cost_matrix": {"bad": {"good": 5, "bad": 0}, "good": {"good": 0, "bad": 1}},
            },
            "tags": {"team": "risk"},
        },
    },
    "inline": {
        "summary": "Rows in the spec itself, for small tables",
        "value": {
            "name": "tiny",
            "data": {
                "source": {
                    "type": "inline",
                    "rows": [{"x": index, "y": "yes" if index % 2 else "no"} for index in range(20)],
                },
                "target": "y",
            },
            "model": {"family": "sklearn", "estimator": "logistic_regression"},
            "promotion": {"policy": "never"},
        },
    },
}
