"""Who may call what. Each endpoint declares the least role that may call it.

With an API keys file a caller sends its key as `Authorization: Bearer …` or `X-API-Key`; with an OpenID provider, a
token of it in the same way. Without one the service is
bound to the loopback interface and every caller is the user of the machine; what remains to be kept out is the
browser: a page of another site that posts here (its Origin gives it away), or one whose name was made to resolve to
127.0.0.1 (its Host does).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from ray_app.api.context import services_of
from ray_app.api.errors import ForbiddenError, UnauthenticatedError
from ray_app.services.assembly import Services
from ray_app.services.keys import Caller, Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_USER = Caller("local", Role.ADMIN)

Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))]
ApiKey = Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))]


class Requires:
    """Dependency of an endpoint: lets callers with `role` or more pass, and answers who it is."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request, bearer: Bearer = None, api_key: ApiKey = None) -> Caller:
        """The caller.

        Raises:
            UnauthenticatedError, ForbiddenError: it may not pass.
        """
        caller = await authenticate(request, bearer.credentials if bearer else api_key)
        request.scope["state"]["caller"] = caller  # for the audit log
        services_of(request).quotas.count_request(caller)
        require(caller, self.role)
        return caller


VIEWER, TRAINER, APPROVER = Requires(Role.VIEWER), Requires(Role.TRAINER), Requires(Role.APPROVER)
Viewer = Annotated[Caller, Depends(VIEWER)]
Trainer = Annotated[Caller, Depends(TRAINER)]


async def _starts_a_job(request: Request, caller: Annotated[Caller, Depends(TRAINER)]) -> Caller | None:
    await services_of(request).quotas.check_jobs(caller)
    return None if caller is LOCAL_USER else caller


StartsJob = Annotated[Caller | None, Depends(_starts_a_job)]
"""Of an endpoint that makes a job: a trainer whose quota has room for one more; None where there are no keys."""


async def public() -> None:
    """Dependency of an endpoint that anybody may call."""


def require(caller: Caller, role: Role) -> None:
    """Raises ForbiddenError unless the caller has the role."""
    if not caller.role.includes(role):
        raise ForbiddenError(
            f"{caller.id} has the role {caller.role}; this needs {role}", hint=f"Use a key with the role {role}."
        )


async def authenticate(request: Request, key: str | None) -> Caller:
    """Who calls.

    Raises:
        UnauthenticatedError: no key, or one that is not known.
        ForbiddenError: a browser sent this for another site.
    """
    _refuse_other_sites(request)
    services = services_of(request)
    if services.keys is None and services.oidc is None:
        _refuse_other_names(request)
        return LOCAL_USER
    if not key:
        raise UnauthenticatedError("this needs an API key", hint="Send it as Authorization: Bearer KEY.")
    caller = await _caller_of(services, key)
    if caller is None:
        raise UnauthenticatedError("the API key is not known or has expired", hint="Ask the operator for a new one.")
    return caller


async def _caller_of(services: Services, presented: str) -> Caller | None:
    if services.oidc is not None and services.oidc.is_token(presented):
        return await services.key_checks.run(services.oidc.verify, presented)
    if services.keys is None:
        return None
    return services.keys.known(presented) or await services.key_checks.run(services.keys.verify, presented)


def _refuse_other_sites(request: Request) -> None:
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not same or request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise ForbiddenError("a page of another site sent this request", hint="Call the API from outside of a browser.")


def _refuse_other_names(request: Request) -> None:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise ForbiddenError(
            f"the host {host!r} is not a name of this machine",
            hint="Without API keys the service answers to 127.0.0.1 and localhost only; set MTS_API_KEYS_FILE.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
