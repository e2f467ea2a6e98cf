"""The driver that owns the service on this machine's cluster: `python -m ray_app.local.driver`.

Ray ends the idle workers of a driver that has finished, and with them the warm start of the next job; so this one stays
for as long as the cluster lives. It imports first, and then reads the cluster's address from its standard input: its
imports and the start of Ray take place at the same time.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import ray
import yaml
from pydantic import BaseModel
from ray import serve
from ray.exceptions import RayError
from ray.serve import Application

from ray_app.dispatcher.client import NAME as DISPATCHER
from ray_app.local.state import DrainLimits, RunFolder
from ray_app.services.structured_logs import set_up_logs
from ray_app.settings import Settings

NAMESPACE = "mts"
DEFAULT_APPLICATION: dict[str, Any] = {"name": "mts", "route_prefix": "/", "import_path": "ray_app.app:build"}

logger = logging.getLogger("mts.driver")


class ServeConfig(BaseModel):
    """The parts of a Serve configuration file that the service uses; the defaults stand where there is no file."""

    proxy_location: str = "HeadOnly"
    http_options: dict[str, Any] = {}
    logging_config: dict[str, Any] = {}
    applications: list[dict[str, Any]] = [DEFAULT_APPLICATION]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the file, or answers the defaults where there is none."""
        return cls.model_validate(yaml.safe_load(path.read_text())) if path.exists() else cls()

    @property
    def application(self) -> dict[str, Any]:
        """The first application, complete."""
        return {**DEFAULT_APPLICATION, **self.applications[0]}


def load_builder(import_path: str) -> Callable[[Any], Application]:
    """The function that an application's import path names."""
    module, _, name = import_path.partition(":")
    builder: Callable[[Any], Application] = getattr(importlib.import_module(module), name)
    return builder


def build_application(builder: Callable[[Any], Application], arguments: dict[str, Any]) -> Application:
    """Calls the builder with its arguments in the type that it asks for, as `serve deploy` does."""
    hints = typing.get_type_hints(builder)
    wanted = next((kind for name, kind in hints.items() if name != "return"), None)
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return builder(wanted.model_validate(arguments))
    return builder(arguments)


def tls_options(settings: Settings) -> dict[str, str]:
    """What Serve needs to speak https; nothing where there is no certificate."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return {}
    return {"ssl_certfile": str(settings.tls_cert_file.resolve()), "ssl_keyfile": str(settings.tls_key_file.resolve())}


def deploy(builder: Callable[[Any], Application], config: ServeConfig, settings: Settings) -> None:
    """Deploys the application at the host and port of the settings, and returns when it is healthy."""
    serve.start(
        proxy_location=config.proxy_location,
        http_options={**config.http_options, "host": settings.host, "port": settings.port, **tls_options(settings)},
        logging_config=config.logging_config,
    )
    application = build_application(builder, config.application.get("args") or {})
    serve.run(application, name=config.application["name"], route_prefix=config.application["route_prefix"])


def drain(limits: DrainLimits) -> None:
    """Lets the dispatcher end what runs, within the time that whoever stops the service gives."""
    try:
        dispatcher = ray.get_actor(DISPATCHER, namespace=NAMESPACE)
        left: Any = ray.get(dispatcher.drain.remote(limits.wait_s, limits.stop_s), timeout=limits.total_s)
    except (RayError, ValueError) as error:  # ValueError: there is none
        logger.warning("nothing is drained: %s", type(error).__name__)
        return
    logger.info("drained; %d attempts still run, and go on from their last checkpoint", left)


def main() -> int:
    """Runs until SIGTERM; where the service is to be drained, does that first."""
    settings = Settings()
    set_up_logs(settings.log_format)
    config = ServeConfig.read(settings.base / "serve_config.yaml")
    builder = load_builder(config.application["import_path"])
    address = sys.stdin.readline().strip()
    if not address:
        logger.error("the supervisor ended before it gave an address")
        return 1
    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING)
    deploy(builder, config, settings)
    logger.info("deployed")
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: asked.set())
    asked.wait()
    limits = RunFolder(settings).drain_limits()
    if limits is not None:
        drain(limits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
