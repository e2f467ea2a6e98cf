"""One HTTP request to the service: the key, the retries, errors as exceptions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from ray_app.client.errors import MtsApiError, MtsConnectionError

API = "/api/v1"
TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 600.0
ATTEMPTS = 5
FIRST_DELAY_S = 0.2
MAX_DELAY_S = 5.0


class Transport:
    """Sends requests; may be used from many threads.

    A request that certainly did not reach the service, or that it declined for now (429, 503), is sent again. One whose
    fate is unknown is sent again only where twice is the same as once.
    """

    def __init__(self, base_url: str, api_key: str | None, http: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # trust_env: a proxy of the environment is meant for other hosts than this machine
        self.http = httpx.Client(
            base_url=base_url, headers=headers, timeout=TIMEOUT_S, transport=http, trust_env=not _is_local(base_url)
        )
        self.url = base_url

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        idempotent: bool | None = None,
    ) -> httpx.Response:
        """Answers a response whose status is below 400.

        Args:
            content: the body as it is, instead of `body`, which becomes JSON.
            idempotent: whether sending it twice is the same as once. Default: GET is, the others are not.

        Raises:
            MtsApiError: the service answered with a problem.
            MtsConnectionError: it did not answer.
        """
        repeatable = method == "GET" if idempotent is None else idempotent
        given = {name: value for name, value in (params or {}).items() if value is not None}
        request = self.http.build_request(
            method, API + path, params=given, json=body, content=content, headers=headers, timeout=timeout_s
        )
        for attempt in range(1, ATTEMPTS + 1):
            delay_s = min(FIRST_DELAY_S * 2 ** (attempt - 1), MAX_DELAY_S)
            try:
                response = self.http.send(request)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS or not (repeatable or isinstance(error, httpx.ConnectError)):
                    raise MtsConnectionError(self.url, str(error) or type(error).__name__) from error
            else:
                if response.status_code not in {429, 503} or attempt == ATTEMPTS:
                    return checked(response)
                delay_s = max(delay_s, retry_after_s(response))
            time.sleep(delay_s)
        raise AssertionError("the last attempt answers or raises")

    def upload(self, path: str, file: Path) -> dict[str, Any]:
        """Sends a file as it is read, once: a form cannot be sent again in the middle.

        Raises:
            MtsApiError: the service answered with a problem.
            MtsConnectionError: it did not answer.
        """
        try:
            with file.open("rb") as content:
                response = self.http.post(API + path, files={"file": (file.name, content)}, timeout=UPLOAD_TIMEOUT_S)
        except httpx.TransportError as error:
            raise MtsConnectionError(self.url, str(error) or type(error).__name__) from error
        answer: dict[str, Any] = checked(response).json()
        return answer


def checked(response: httpx.Response) -> httpx.Response:
    """The response itself.

    Raises:
        MtsApiError: it is a problem.
    """
    if response.is_error:
        raise MtsApiError.of(response)
    return response


def retry_after_s(response: httpx.Response) -> float:
    """Seconds that the service asked to wait, within reason."""
    given = response.headers.get("Retry-After", "")
    return min(float(given), MAX_DELAY_S) if given.isdigit() else 0.0


def segment(name: str | int) -> str:
    """A name as one segment of a path, whatever it is made of."""
    return quote(str(name), safe="")


def _is_local(base_url: str) -> bool:
    return httpx.URL(base_url).host in {"127.0.0.1", "localhost", "::1"}
