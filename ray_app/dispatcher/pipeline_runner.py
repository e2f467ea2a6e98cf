"""Runs `training.pipeline` for an assignment. Importing this module imports all that a job needs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray_app.dispatcher.messages import Assignment, Place
from ray_app.settings import environment_secret
from training.data import DataAccess
from training.events import Observer, SilentObserver, logging_to
from training.monitoring.store import monitors_root
from training.pipeline import Workplace, evaluate_model, registered, reproduce, run
from training.registry import Registry
from training.spec import EvaluateSpec, ReproduceSpec, TrainSpec, parse_spec

REHEARSAL_ROWS = 60
REHEARSED: tuple[dict[str, Any], ...] = (
    {"family": "xgboost", "params": {"n_estimators": 3}},
    # what saves scikit-learn's estimators takes seconds to import
    {"family": "sklearn", "estimator": "logistic_regression"},
)


class PipelineRunner:
    """Implements ray_app.dispatcher.runner.Runner."""

    def run(
        self, assignment: Assignment, place: Place, observer: Observer, commit: Callable[[], None]
    ) -> dict[str, Any]:  # fmt: skip
        """Trains, evaluates or reproduces."""
        workplace = _workplace(place)
        if assignment.kind == "evaluate":
            report = evaluate_model(parse_spec(EvaluateSpec, assignment.spec), workplace, observer)
            return report.model_dump(mode="json")
        if assignment.kind == "monitor":
            # imported by the few jobs that need it: it loads scikit-learn
            from ray_app.dispatcher.monitor_runner import MonitorRunner  # noqa: PLC0415

            with logging_to(observer):
                return MonitorRunner(place, workplace.registry).run(assignment, observer)
        if assignment.kind == "reproduce":
            again = parse_spec(ReproduceSpec, assignment.spec)
            return reproduce(again, workplace, observer, job_id=assignment.job_id).model_dump(mode="json")
        if assignment.kind == "query":
            return _query(assignment.spec, workplace, observer)
        spec = parse_spec(TrainSpec, assignment.spec)
        return run(spec, workplace, observer, job_id=assignment.job_id, commit=commit).model_dump(mode="json")

    def registered(self, assignment: Assignment, place: Place) -> dict[str, Any] | None:
        """What the version itself keeps of its job's result."""
        if assignment.kind != "train":
            return None
        found = registered(assignment.name, assignment.job_id, _workplace(place))
        return None if found is None else found.model_dump(mode="json")

    def rehearse(self, place: Place) -> None:
        """Trains tiny models in a registry that is thrown away, and connects to the real one."""
        with tempfile.TemporaryDirectory(prefix="mts-warm-", ignore_cleanup_errors=True) as folder:
            apart = Place((), Path(folder), f"sqlite:///{folder}/mlflow.db", f"{folder}/artifacts", Path(folder))
            for number, model in enumerate(REHEARSED):
                run(_rehearsal(model), _workplace(apart), SilentObserver(), job_id=f"rehearsal-{number}")
        _workplace(place).registry.connect()

    def tidy(self, job_id: str, name: str, place: Place) -> None:
        """Closes runs that are still open in the registry, and removes what the fit left to go on from."""
        shutil.rmtree(place.checkpoints / job_id, ignore_errors=True)
        _workplace(place).registry.close_stale_runs(name, job_id)


def _query(raw: dict[str, Any], workplace: Workplace, observer: Observer) -> dict[str, Any]:
    # heavy: scikit-activeml takes seconds to import, and few jobs need it
    from training.active_learning.query import run_query  # noqa: PLC0415
    from training.active_learning.spec import QuerySpec  # noqa: PLC0415

    spec = parse_spec(QuerySpec, raw)
    registry = workplace.registry
    with logging_to(observer):
        return run_query(
            spec, workplace.access, lambda version: registry.load(registry.version(spec.name, version)), observer
        )


def _workplace(place: Place) -> Workplace:
    return Workplace(
        access=DataAccess(
            # retraining reads what the checks of monitors have written
            roots=(*place.roots, monitors_root(place.artifact_uri)),
            base=place.base,
            connections_file=place.connections_file,
            secret=environment_secret,
        ),
        registry=Registry(tracking_uri=place.tracking_uri, artifact_uri=place.artifact_uri),
        checkpoints=place.checkpoints,
    )


def _rehearsal(model: dict[str, Any]) -> TrainSpec:
    rows = [
        {"number": index % 7, "word": "ab"[index % 2], "label": ["no", "yes"][index % 3 == 0]}
        for index in range(REHEARSAL_ROWS)
    ]
    raw = {
        "name": "rehearsal",
        "data": {"source": {"type": "inline", "rows": rows}, "target": "label"},
        "model": model,
        "evaluation": {"bootstrap_samples": 10},
    }
    return parse_spec(TrainSpec, raw)
