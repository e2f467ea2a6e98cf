"""The FastAPI application as a plain factory: no Ray, no environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from ray_app.api import errors
from ray_app.api.middleware import BodyLimit, EdgeMiddleware
from ray_app.api.routes import (
    active_learning,
    datasets,
    docs,
    evaluate,
    health,
    job_data,
    jobs,
    metrics,
    models,
    monitors,
    train,
    trials,
    webhooks,
)
from ray_app.api.telemetry import HttpMetrics
from ray_app.services.assembly import Services
from ray_app.settings import Settings

ROUTERS = (
    train.router,
    jobs.router,
    trials.router,
    job_data.router,
    datasets.router,
    evaluate.router,
    models.router,
    active_learning.router,
    webhooks.router,
    monitors.router,
    health.router,
    metrics.router,
    docs.router,
)


def create_app(services: Services, settings: Settings, *, replica: str = "", answer_request_id: bool = True) -> FastAPI:
    """The application.

    Args:
        services: what the endpoints delegate to.
        settings: for the limit of a body.
        replica: names this process in the metrics.
        answer_request_id: False behind a proxy that answers X-Request-Id by itself.
    """
    app = FastAPI(
        title="Model training service",
        version=version("model-training-service"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
    )
    app.state.services = services
    app.state.metrics = HttpMetrics(replica)
    errors.install(app)
    app.add_middleware(
        EdgeMiddleware,
        metrics=app.state.metrics,
        audit=services.audit,
        max_body_mb=settings.max_body_mb,
        other_limits=(
            BodyLimit(datasets.UPLOADS_PATH, settings.max_upload_mb, "MTS_MAX_UPLOAD_MB"),
            BodyLimit(monitors.INFLOW_PATH, max(settings.max_body_mb, settings.max_inflow_mb), "MTS_MAX_INFLOW_MB"),
        ),
        answer_request_id=answer_request_id,
        otlp_endpoint=settings.otlp_endpoint,
    )
    for router in ROUTERS:
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    warming = asyncio.create_task(app.state.services.warm_up())  # not awaited: health must not wait for the registry
    app.state.services.webhooks.start()
    yield
    warming.cancel()
    app.state.services.webhooks.close()
    app.state.services.close()
