"""What a worker does for a monitor: a check, or an action that followed from one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ray_app.dispatcher.messages import Assignment, Place
from training.active_learning.spec import PoolSpec
from training.errors import ConflictError, NotFoundError, SpecError
from training.events import Observer
from training.monitoring.check import Watched, check
from training.monitoring.labelling import PREDICTION_ID, ToLabel, confirm, rows_to_label
from training.monitoring.profile import PROFILE_FILE, ReferenceProfile
from training.monitoring.retraining import plan_retraining
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe
from training.registry import Registry
from training.registry.model import CHAMPION, VersionInfo
from training.spec import parse_spec

ALARM_TAG = "monitoring.alarm"
MIN_POOL_ROWS = 50
"""A pool of fewer would have no rows left for its test set and its first labels."""


class MonitorRunner:
    """Runs the jobs of kind `monitor`. Each may run twice and then does no harm.

    Args:
        place: of the service.
        registry: of the service.
    """

    def __init__(self, place: Place, registry: Registry) -> None:
        self._place = place
        self._registry = registry

    def run(self, assignment: Assignment, observer: Observer) -> dict[str, Any]:
        """Does what the job's spec names under `do`.

        Raises:
            TrainingError: told to the caller as it is.
        """
        raw, tasks = assignment.spec, self._tasks()
        spec = parse_spec(MonitorSpec, raw["monitor"])
        observer.phase("evaluate")
        return tasks[raw["do"]](spec, raw, observer)

    def _tasks(self) -> Mapping[str, Callable[[MonitorSpec, dict[str, Any], Observer], dict[str, Any]]]:
        return {
            "check": self._check, "notify": self._notify, "rollback": self._rollback, "retrain": self._retrain,
            "label": self._label, "confirm": self._confirm,
        }  # fmt: skip

    def _check(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        watched = self._watched(spec, self._version(spec, raw))
        return check(watched, datetime.now(UTC), observer.progress).model_dump(mode="json")

    def _notify(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        alarm = raw["alarm"]
        info = self._registry.version(alarm["model"], alarm["version"])
        told = {name: alarm[name] for name in ("severity", "kind", "subject", "message", "window_start")}
        self._registry.tag_version(info, ALARM_TAG, json.dumps(told, ensure_ascii=False))
        return {"notified": ["mlflow"]}

    def _rollback(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        alarm = raw["alarm"]
        champion = self._registry.resolve(spec.model.name, alias=CHAMPION)
        if champion.version != alarm["version"]:
            return {"rolled_back": False, "reason": f"version {champion.version} is the champion by now"}
        reason = f"alarm {alarm['id']} of monitor {spec.name}: {alarm['message']}"
        try:
            self._registry.rollback(spec.model.name, reason=reason, by=f"monitor {spec.name}")
        except ConflictError as error:
            return {"rolled_back": False, "reason": error.message}
        version = self._registry.resolve(spec.model.name, alias=CHAMPION).version
        return {"rolled_back": True, "version": version}

    def _retrain(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        info = self._version(spec, raw)
        watched = self._watched(spec, info)
        base = self._registry.training_spec(info)
        if base is None:
            return {"train": None, "reason": f"version {info.version} was not trained by this service"}
        alarm = raw.get("alarm") or {}
        tags = {"monitor": spec.name, **({"alarm": alarm["id"]} if alarm else {})}
        # what came of a row does not depend on which version was asked
        observed = observe(watched.store, watched.profile.schema, None)
        return asdict(plan_retraining(spec, observed, base, watched.store, tags))

    def _label(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        info = self._version(spec, raw)
        watched = self._watched(spec, info)
        observed = observe(watched.store, watched.profile.schema, watched.version)
        bounds = tuple(_microseconds(raw["alarm"][name]) for name in ("window_start", "window_end"))
        found = rows_to_label(watched.profile, observed, (bounds[0], bounds[1]), watched.store)
        facts = {"rows": found.rows, "grown": found.grown, "growth": found.growth}
        if found.source is None or found.rows < MIN_POOL_ROWS:
            reason = f"{found.rows} rows without outcome where the estimated loss has grown; {MIN_POOL_ROWS} are needed"
            return {**facts, "pool": None, "reason": reason}
        base = self._registry.training_spec(info) or {}
        pool = pool_spec(watched, found, raw["alarm"]["id"], base.get("model"))
        return {**facts, "pool": pool.model_dump(mode="json")}

    def _confirm(self, spec: MonitorSpec, raw: dict[str, Any], observer: Observer) -> dict[str, Any]:
        watched = self._watched(spec, self._version(spec, raw))
        schema = watched.profile.schema
        codes = {name: float(code) for code, name in enumerate(schema.classes)}
        labels = {item["id"]: codes.get(str(item["label"]), item["label"]) for item in raw["labels"]}
        found = confirm(watched.profile, observe(watched.store, schema, watched.version), labels)
        return {"pool": raw["pool"], "confirmation": found}

    def _version(self, spec: MonitorSpec, raw: dict[str, Any]) -> VersionInfo:
        """The version that the alarm is about, or the one that the monitor watches now."""
        number = raw.get("version") or (raw.get("alarm") or {}).get("version") or spec.model.version
        return self._registry.resolve(spec.model.name, version=number, alias=None if number else spec.model.alias)

    def _watched(self, spec: MonitorSpec, info: VersionInfo) -> Watched:
        try:
            body = self._registry.read_file(info, PROFILE_FILE)
        except NotFoundError:
            hint = "Train a version with this release."
            raise NotFoundError(f"{info.uri} has no reference profile", hint=hint) from None
        store = StreamStore(self._place.artifact_uri, spec.name)
        return Watched(spec, store, ReferenceProfile.parsed(body), info.version)


def pool_spec(watched: Watched, rows: ToLabel, alarm_id: str, model: Any | None) -> PoolSpec:
    """A pool of the rows; its model has a name of its own, for it learns from the difficult rows alone.

    Args:
        watched: the version that alarmed.
        rows: to be labelled.
        alarm_id: of the alarm.
        model: what is trained; None takes a pool's default.
    """
    schema, share = watched.profile.schema, max(1, rows.rows // 5)
    data: dict[str, Any] = {"source": rows.source, "target": schema.target, "task": schema.task,
                            "classes": list(schema.classes), "id_column": PREDICTION_ID}  # fmt: skip
    if schema.task == "binary":
        data["positive_class"] = schema.classes[1]
    raw: dict[str, Any] = {
        "name": f"{watched.spec.model.name[:88]}.relabelled", "data": data, "test_size": max(20, min(100, share)),
        "initial_size": max(10, min(50, share)), "tags": {"monitor": watched.spec.name, "alarm": alarm_id},
    }  # fmt: skip
    return parse_spec(PoolSpec, raw if model is None else raw | {"model": model})


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise SpecError.at("alarm.window_start", text, "a time needs its zone")
    return round(moment.timestamp() * 1_000_000)
