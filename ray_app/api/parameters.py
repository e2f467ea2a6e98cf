"""Query parameters and headers that several endpoints take, and the refusal of those that none takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_origin

from fastapi import Header, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ray_app.api.errors import repeated_parameter, unknown_parameter

MAX_WAIT_S = 60

WaitS = Annotated[
    float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="Seconds to wait for the final state.")
]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]
VersionOrAlias = Annotated[str, Query(min_length=1, max_length=100, description="A version's number, or an alias.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Visible ASCII. The same key and body answer the same job; the same key with another body 409.",
    ),
]


async def known_parameters(request: Request) -> None:
    """Dependency: refuses query parameters that the endpoint does not know, so that a misspelt filter is not ignored.

    Raises:
        RequestValidationError: names the nearest one; or the parameter takes one value, and there are several.
    """
    if not request.query_params:
        return
    known = dict(_parameters(request.scope["route"]))
    for name in request.query_params:
        if name not in known:
            raise unknown_parameter(name, list(known))
        values = request.query_params.getlist(name)
        if len(values) > 1 and not known[name]:
            raise repeated_parameter(name, values)


def _parameters(route: APIRoute) -> Iterator[tuple[str, bool]]:
    """Names, and whether each takes several values."""
    for parameter in route.dependant.query_params:
        annotation: Any = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                yield name, get_origin(field.annotation) is list
        else:
            yield parameter.alias, get_origin(annotation) is list
