"""The composition root: `build(args)` gives Ray Serve the application. Named in serve_config.yaml as ray_app.app:build.

The API's replicas hold no job: the dispatcher, a detached actor, does. A replica may be added, moved or killed while
jobs run. Each asks Ray for no CPU, so that training gets them all.
"""

# No postponed annotations here: Serve looks at the annotation of build's argument, and takes a text for no type at all.

from typing import Annotated, Any, Self

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from ray.serve import Application

from ray_app import dispatcher
from ray_app.api.app import create_app
from ray_app.services.assembly import assemble
from ray_app.services.structured_logs import set_up_logs
from ray_app.settings import Settings
from training.heap import settle

DEPLOYMENT = "api"
GRACEFUL_SHUTDOWN_S = 10.0  # a stream that is still open then is cut; its client resumes by Last-Event-ID


class AppArgs(BaseModel):
    """Arguments of the application, given in serve_config.yaml under `args`. What is None comes from the settings."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    min_replicas: Annotated[int, Field(ge=1)] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4
    target_ongoing_requests: Annotated[float, Field(gt=0)] = 32
    """A replica more for each so many requests that are answered at once; streams and `wait_s` count."""
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 256
    """Of one replica; more wait in Serve's proxy."""
    max_queued_requests: Annotated[int, Field(ge=-1)] = 512
    """In Serve's proxy; more are refused with 503. -1 for no limit."""
    max_body_mb: Annotated[float, Field(gt=0)] | None = None
    """A larger request body is refused with 413."""
    plan_limit_mb: Annotated[float, Field(ge=0)] | None = None
    """Data up to this size are checked before POST /train answers."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} is above max_replicas {self.max_replicas}")
        return self

    def applied_to(self, settings: Settings) -> Settings:
        """The settings with these arguments, and with paths that no longer depend on a working directory."""
        given = {"max_body_mb": self.max_body_mb, "plan_limit_mb": self.plan_limit_mb}
        update: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return settings.model_copy(update={"home": settings.home_path, "base": settings.base.resolve(), **update})


class Replica:
    """One process of the API. Plain: without Serve it is `create_app` that is tested."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve in the replica, because the application holds threads and cannot be sent there."""
        set_up_logs(self._settings.log_format)
        jobs = dispatcher.connect(self._settings)
        replica_id = serve.get_replica_context().replica_id.unique_id
        services = assemble(jobs, self._settings, pools=jobs.pools, monitors=jobs.monitors)
        application = create_app(services, self._settings, replica=replica_id, answer_request_id=False)
        settle()
        return application


def build(args: AppArgs) -> Application:
    """The application for `serve deploy`, `serve run` and `serve.run`. Reads the settings where it is called."""
    deployment = serve.deployment(
        name=DEPLOYMENT,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=args.max_ongoing_requests,
        max_queued_requests=args.max_queued_requests,
        autoscaling_config={
            "min_replicas": args.min_replicas,
            "max_replicas": args.max_replicas,
            "target_ongoing_requests": args.target_ongoing_requests,
        },
        graceful_shutdown_timeout_s=GRACEFUL_SHUTDOWN_S,
        health_check_period_s=5,
        health_check_timeout_s=15,
    )
    ingress = serve.ingress()(Replica)
    return deployment(ingress).bind(args.applied_to(Settings()))
