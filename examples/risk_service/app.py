"""The Ray Serve application."""

# no `from __future__ import annotations` here: FastAPI and Serve read the annotations of the endpoints

import asyncio
import gc
import json
import logging
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from ray import serve
from ray.serve import Application
from starlette.responses import JSONResponse

from examples.risk_service.champion import Asked, Champion, Follower
from examples.risk_service.protocol import KINDS, OUTPUTS, columns_of, response_of, wants_reasons
from examples.risk_service.together import Together
from ray_app.client import MtsClient, MtsError
from ray_app.client.webhooks import SIGNATURE_HEADER, SignatureError, verify

logger = logging.getLogger("risk_service")

REPORT_S = 1.0
MAX_KEPT = 20_000
"""Predictions that wait to be reported while the training service is slow or away; more are dropped."""
SWITCH_S = 0.0005


class RiskService:
    """Answers from the champion of one model."""

    def __init__(
        self, client: MtsClient, model: str, *, monitor: str | None = None, secret: str | None = None,
        loaded: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.model, self.secret, self.monitor, self._client = model, secret, monitor, client
        self.follower = Follower(client, model, loaded=loaded)
        self._together = Together()
        self._to_report: deque[dict[str, Any]] = deque()
        self.dropped = 0
        self.report_problem: str | None = None

    def used(self) -> Champion:
        """The version in use.

        Raises:
            LookupError: none was fetched yet.
        """
        if self.follower.champion is None:
            raise LookupError(self.follower.problem)
        return self.follower.champion

    async def infer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers an inference request; a swap in the meantime does not touch it."""
        champion = self.used()
        columns = columns_of(request, champion.inputs)
        answers = await self._together.answers(champion, Asked(columns, wants_reasons(request)))
        prediction_id = uuid.uuid4().hex
        if self.monitor is not None:
            self._keep(prediction_id, columns, answers)
        return response_of(self.model, champion.version, answers, prediction_id, request.get("id"))

    def _keep(self, prediction_id: str, columns: dict[str, list[Any]], answers: list[dict[str, Any]]) -> None:
        """For the monitor: each row under an id by which its outcome can be sent later."""
        now = datetime.now(UTC).isoformat()
        rows = zip(*columns.values(), strict=True)
        records = [
            {"id": f"{prediction_id}-{position}", "time": now, "version": answer["version"], "score": answer["score"],
             "features": dict(zip(columns, row, strict=True))}
            for position, (row, answer) in enumerate(zip(rows, answers, strict=True))
        ]  # fmt: skip
        room = max(0, MAX_KEPT - len(self._to_report))
        self._to_report.extend(records[:room])
        self.dropped += len(records[room:])

    async def report_for_ever(self) -> None:
        """Sends predictions to the monitor, at every interval what has come together."""
        while True:
            await asyncio.sleep(REPORT_S)
            await self.report()

    async def report(self) -> None:
        """Sends what has come together, in the background; what cannot be sent is dropped and counted."""
        if self.monitor is None or not self._to_report:
            return
        batch = [self._to_report.popleft() for _ in range(len(self._to_report))]
        try:
            await asyncio.to_thread(self._client.monitors.predictions, self.monitor, batch)
            self.report_problem = None
        except MtsError as error:
            self.dropped += len(batch)
            self.report_problem = str(error)
            logger.warning("%s predictions were not reported: %s", len(batch), error)


router = APIRouter()


def create_app(service: RiskService) -> FastAPI:
    """The endpoints over a service."""

    @asynccontextmanager
    async def reporting(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(service.report_for_ever()) if service.monitor is not None else None
        yield
        if task is not None:
            task.cancel()

    app = FastAPI(title="Risk prediction service", lifespan=reporting)
    app.state.service = service
    app.include_router(router)
    return app


def service_of(request: Request) -> RiskService:
    """The service of the application that got the request."""
    service: RiskService = request.app.state.service
    return service


@router.get("/v2/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/v2/health/ready")
@router.get("/v2/models/{name}/ready")
async def ready(request: Request, name: str = "") -> Response:
    """A version is in use; `problem` says why a newer one is not."""
    service = service_of(request)
    champion = service.follower.champion
    is_ready = champion is not None and name in {"", service.model}
    body = {"ready": is_ready, "version": champion and champion.version, "problem": service.follower.problem,
            "reports_dropped": service.dropped, "report_problem": service.report_problem}  # fmt: skip
    return JSONResponse(body, 200 if is_ready else 503)


@router.get("/v2/models/{name}")
async def metadata(request: Request, name: str) -> Response:
    """The schema of the version in use."""
    service = service_of(request)
    if name != service.model:
        return JSONResponse({"error": f"no model {name}; there is {service.model}"}, 404)
    champion = service.follower.champion
    if champion is None:
        return JSONResponse({"error": service.follower.problem}, 503)
    inputs = [{"name": one["name"], "datatype": KINDS[one["kind"]], "shape": [-1]} for one in champion.inputs]
    outputs = [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()]
    return JSONResponse({"name": name, "versions": [champion.version], "platform": "mlflow_pyfunc",
                         "inputs": inputs, "outputs": outputs})  # fmt: skip


@router.post("/v2/models/{name}/infer")
async def infer(request: Request, name: str) -> Response:
    """Scores rows."""
    service = service_of(request)
    if name != service.model:
        return JSONResponse({"error": f"no model {name}; there is {service.model}"}, 404)
    try:
        return JSONResponse(await service.infer(json.loads(await request.body())))
    except LookupError as error:
        return JSONResponse({"error": str(error)}, 503)
    except ValueError as error:  # not JSON, not the protocol, or values that the model cannot take
        return JSONResponse({"error": str(error)}, 400)


@router.post("/hooks")
async def hook(request: Request) -> Response:
    """A webhook of the training service: there may be a new champion."""
    service = service_of(request)
    if service.secret is None:
        return JSONResponse({"error": "no webhook secret was given"}, 404)
    try:
        verify(service.secret, request.headers.get(SIGNATURE_HEADER, ""), await request.body())
    except SignatureError as error:
        return JSONResponse({"error": str(error)}, 401)
    service.follower.look_now()
    return Response(status_code=204)


@dataclass(frozen=True)
class Options:
    """What the service is told when it starts."""

    training_url: str
    model: str
    monitor: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


def keep_what_is_loaded() -> None:
    """Takes modules and model out of the collector's sight: to look through them took 60 ms every few seconds."""
    gc.collect()
    gc.freeze()


class Replica:
    """One process of the service."""

    def __init__(self, options: Options) -> None:
        # while a version is loaded, requests wait so long at most for the interpreter, and not 5 ms each time
        sys.setswitchinterval(SWITCH_S)
        client = MtsClient(options.training_url, options.api_key)
        self._service = RiskService(
            client, options.model, monitor=options.monitor, secret=options.webhook_secret, loaded=keep_what_is_loaded
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._service)


def build(options: Options) -> Application:
    """The Serve application."""
    quiet = {"enable_access_log": False}
    deployed = serve.deployment(serve.ingress()(Replica), num_replicas=1, max_ongoing_requests=64, logging_config=quiet)
    return deployed.bind(options)
