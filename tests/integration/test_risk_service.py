"""The example consumer: follows the champion, checks what it gets, swaps without dropping a request."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from fastapi import FastAPI

from examples.risk_service.__main__ import settings
from examples.risk_service.app import RiskService, create_app
from ray_app.client import MtsClient
from ray_app.services.webhook_signature import sign
from training.data import DataAccess
from training.events import SilentObserver
from training.monitoring.inflow import Receiver
from training.monitoring.schema import MonitoredSchema
from training.pipeline import Workplace, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

ROOT = Path(__file__).parents[2]
SECRET = "the secret of the hook"
INFER = "/v2/models/german/infer"


@dataclass
class Training:
    """The training service's answers about one model, from a real registry; `harm` alters a bundle on its way."""

    registry: Registry
    folder: Path
    harm: bool = False
    away: bool = False
    reported: list[bytes] = field(default_factory=list)
    bundles: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/monitors/watch/predictions":
            if self.away:
                return httpx.Response(404, json={"status": 404, "detail": "no monitor 'watch'"})
            self.reported.append(request.content)
            receipt = {"accepted": request.content.count(b"\n") + 1, "repeated": False, "duplicates": 0, "ignored": [],
                       "newest": "2026-01-01T00:00:00Z"}  # fmt: skip
            return httpx.Response(202, json=receipt)
        path = request.url.path.removeprefix("/api/v1/models/german")
        if path == "":
            return httpx.Response(200, json=self.registry.model("german").model_dump(mode="json"))
        version = path.split("/")[2]
        content, digest = self.bundle(version)
        if self.harm:
            content = content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
        return httpx.Response(200, content=content, headers={"ETag": f'"{digest}"'})

    def bundle(self, version: str) -> tuple[bytes, str]:
        if version not in self.bundles:
            folder = self.folder / version
            folder.mkdir()
            archive, digest = self.registry.bundle(self.registry.version("german", version), folder)
            self.bundles[version] = archive.read_bytes(), digest
        return self.bundles[version]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("training")
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    workplace = Workplace(DataAccess(roots=(str(ROOT / "examples" / "data"),), base=ROOT), registry)
    for number in (1, 2):
        spec = {
            "name": "german", "promotion": {"policy": "if_better" if number == 1 else "never"},
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
            "model": {"family": "xgboost", "params": {"n_estimators": 10 * number}},
            "evaluation": {"bootstrap_samples": 0, "explain": False},
        }  # fmt: skip
        run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id=f"job_{number}")
    return Training(registry, folder)


@pytest.fixture
def service(training: Training) -> RiskService:
    """In use with version 1."""
    training.harm = training.away = False
    if training.registry.resolve("german").version != "1":
        training.registry.promote("german", "1", reason="", by="test")
    client = MtsClient("http://training", transport=httpx.MockTransport(training))
    made = RiskService(client, "german", monitor="watch", secret=SECRET)
    made.follower.close()  # its steps are taken by the test
    if made.follower.champion is None:
        made.follower.step()
    return made


@functools.cache
def app_of(service: RiskService) -> FastAPI:
    return create_app(service)


def call(service: RiskService, method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app_of(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://risk") as http:
            return await http.request(method, path, **options)

    return asyncio.run(send())


def rows(count: int = 1) -> pd.DataFrame:
    return pd.read_csv(ROOT / "examples" / "data" / "german_credit.csv").drop(columns="creditability").head(count)


def body(frame: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    inputs = [{"name": name, "shape": [len(frame)], "datatype": "BYTES", "data": frame[name].tolist()}
              for name in frame.columns]  # fmt: skip
    return {"id": "r1", "inputs": inputs} | changes


def test_rows_are_answered_with_score_decision_version_and_reasons(service: RiskService, training: Training) -> None:
    answer = call(service, "POST", INFER, json=body(rows(3))).json()
    assert (answer["id"], answer["model_version"]) == ("r1", "1")
    expected = training.registry.load(training.registry.version("german", "1")).scores(rows(3))[:, 1]
    score, decision = answer["outputs"]
    assert score["data"] == pytest.approx(expected, abs=1e-9)
    assert decision["data"] == ["bad" if value >= 0.5 else "good" for value in score["data"]]
    for reasons in answer["parameters"]["reasons"]:
        assert 1 <= len(reasons) <= 3
        assert abs(reasons[0]["effect"]) >= abs(reasons[-1]["effect"])


def test_requests_that_come_at_once_are_answered_each_for_itself(service: RiskService) -> None:
    asked = [body(rows(7)[number:], parameters={"reasons": number % 2 == 0}) for number in range(7)]
    odd = body(rows(1))
    odd["inputs"][0]["data"] = [{"no": "value"}]
    asked.insert(3, odd)

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app_of(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://risk") as http:
            return await asyncio.gather(*(http.post(INFER, json=one) for one in asked))

    together, alone = asyncio.run(send()), [call(service, "POST", INFER, json=one) for one in asked]
    assert [one.status_code for one in together] == [200] * 3 + [400] + [200] * 4
    own = "prediction_id"
    for one, other in zip(together, alone, strict=True):
        mine, same = one.json(), other.json()
        assert mine.get("parameters", {}).pop(own, None) != same.get("parameters", {}).pop(own, "")
        assert mine == same
    assert [len(one.json()["outputs"][0]["data"]) for one in together if one.is_success] == [7, 6, 5, 4, 3, 2, 1]


def test_the_protocol_says_what_there_is(service: RiskService) -> None:
    assert call(service, "GET", "/v2/health/live").json() == {"live": True}
    assert call(service, "GET", "/v2/models/german/ready").json()["version"] == "1"
    found = call(service, "GET", "/v2/models/german").json()
    assert {"name": "credit_amount", "datatype": "FP64", "shape": [-1]} in found["inputs"]
    assert call(service, "GET", "/v2/models/other").status_code == 404
    assert call(service, "GET", "/v2/models/other/ready").status_code == 503
    service.follower.champion = None
    not_yet = call(service, "GET", "/v2/models/german")
    assert (not_yet.status_code, not_yet.json()) == (503, {"error": service.follower.problem})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b["inputs"].pop(), "missing inputs: foreign_worker"),
        (lambda b: b["inputs"].append({"name": "more", "data": [1]}), "unknown inputs: more"),
        (lambda b: b["inputs"][1].update(data=["twelve"]), "duration_in_month: 'twelve' does not fit a numeric column"),
        (lambda b: b["inputs"][0].update(data=["a", "b"]), "every input needs as many values"),
        (lambda b: b.update(inputs="x"), "inputs: a list"),
        (lambda b: b["inputs"][0].update(data="x"), "data must be a list"),
        (lambda b: b.update(parameters=[1]), "parameters: an object"),
    ],
)
def test_rows_that_do_not_fit_the_schema_are_refused(service: RiskService, change: Any, words: str) -> None:
    sent = body(rows())
    change(sent)
    answer = call(service, "POST", INFER, json=sent)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert call(service, "POST", INFER, content=b"{").status_code == 400
    not_a_number = json.dumps(body(rows())).replace("[6]", "[NaN]").encode()
    assert "null is a missing value" in call(service, "POST", INFER, content=not_a_number).json()["error"]


def test_predictions_are_reported_as_the_monitor_takes_them(service: RiskService, training: Training) -> None:
    answers = [call(service, "POST", INFER, json=body(rows(2))).json() for _ in range(2)]
    asyncio.run(service.report())
    version = training.registry.load(training.registry.version("german", "1"))
    receiver = Receiver(MonitoredSchema.of(version), "9", lambda number: number == "1", datetime.now(UTC))
    kept = receiver.predictions(training.reported.pop(), "application/x-ndjson").table.to_pydict()
    assert kept["id"] == [f"{answer['parameters']['prediction_id']}-{row}" for answer in answers for row in range(2)]
    assert kept["score.0"] == [score for answer in answers for score in answer["outputs"][0]["data"]]
    assert kept["feature.credit_amount"] == [*rows(2)["credit_amount"]] * 2
    assert set(kept["version"]) == {"1"}
    assert not any(kept["wrong"])


def test_predictions_that_cannot_be_reported_are_counted_and_the_cause_is_shown(
    service: RiskService, training: Training
) -> None:
    training.away = True
    assert call(service, "POST", INFER, json=body(rows(3))).status_code == 200
    asyncio.run(service.report())
    shown = call(service, "GET", "/v2/health/ready").json()
    assert shown["reports_dropped"] == 3
    assert "no monitor 'watch'" in shown["report_problem"]


def test_a_swap_under_load_fails_no_request(service: RiskService, training: Training) -> None:
    statuses, versions, stop = [], [], threading.Event()

    def load() -> None:
        while not stop.is_set():
            answer = call(service, "POST", INFER, json=body(rows(), parameters={"reasons": False}))
            statuses.append(answer.status_code)
            versions.append(answer.json().get("model_version"))

    # FastAPI cannot make several applications at once
    app_of(service)
    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    training.registry.promote("german", "2", reason="", by="test")
    assert service.follower.step()
    seen = len(versions)
    while "2" not in versions[seen:]:
        assert any(thread.is_alive() for thread in threads)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert {"1", "2"} == set(versions)
    assert not service.follower.step(), "nothing newer"


def test_an_altered_bundle_is_refused_and_the_old_version_stays(service: RiskService, training: Training) -> None:
    training.harm = True
    training.registry.promote("german", "2", reason="", by="test")
    with pytest.raises(ValueError, match="altered"):
        service.follower.step()
    assert call(service, "POST", INFER, json=body(rows())).json()["model_version"] == "1"
    assert not service.follower.step(), "a version that was refused is not fetched again and again"


def test_only_a_signed_hook_wakes_it(service: RiskService) -> None:
    content = b'{"type": "version.promoted"}'
    signed = {"MTS-Signature": sign(SECRET, content, int(time.time()))}
    assert call(service, "POST", "/hooks", content=content, headers=signed).status_code == 204
    assert call(service, "POST", "/hooks", content=content + b" ", headers=signed).status_code == 401
    assert call(service, "POST", "/hooks", content=content).status_code == 401


def test_its_workers_find_it_before_the_package_examples_of_xgboost_ray(tmp_path: Path) -> None:
    look = "from importlib.util import find_spec; print(find_spec('examples.risk_service.app').origin)"
    environment = os.environ | settings(tmp_path)
    found = subprocess.run(
        [sys.executable, "-P", "-c", look], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == ROOT / "examples" / "risk_service" / "app.py"
