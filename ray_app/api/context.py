"""What every endpoint is given."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from ray_app.services.assembly import Services


def services_of(request: Request) -> Services:
    """The services of the application that got the request."""
    return cast("Services", request.app.state.services)


async def _services(request: Request) -> Services:  # a coroutine, for FastAPI would run a function in a thread
    return services_of(request)


Use = Annotated[Services, Depends(_services)]
