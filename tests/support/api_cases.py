"""Generated requests to every operation of the OpenAPI document, valid and not, with all checks on each answer."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from whole_service import free_port

QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
SHARE_OF_KNOWN = 0.5
REJECTED, ACCEPTED = "Schema-valid request rejected", "Schema-violating request accepted"
UNREADABLE = ("which cannot be stored", "does not fit into 64 bits", "holds a NUL character")
"""Text and numbers that are such to a schema, and that no database takes."""
BEYOND_FIELDS = "force needs a reason"
ABOUT_DATA = (
    "data",
    "cursor",
    "model",
    "split",
    "evaluation",
    "promotion",
    "resources",
    "tune",
    "name",
    "tags",
    "time_budget_s",
    "validation",
    "schedule",
    "window",
    "policy.webhook",
)
"""Fields about which a schema cannot say all: whether there is such a file, column, model, page or webhook, what is a
line of cron, and which two fields exclude each other."""


class Cases:
    """Sends requests and keeps what was answered.

    Args:
        url: of the service.
        document: its OpenAPI document.
        known: values of path parameters that there are; half of the requests use one, for a random one is a 404.
        data: a source and target that there are; half of the specs use them.
        start: draws the requests.
        headers: of each request.
    """

    def __init__(
        self, url: str, document: dict[str, Any], known: Mapping[str, Sequence[str]], data: Mapping[str, Any], *,
        start: int = 0, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._url = url
        self._schema = schemathesis.openapi.from_dict(document)
        self._known, self._data = known, data
        self._start = start
        self._headers = dict(headers or {})
        self._random = random.Random(start)

    def run(self, per_operation: int) -> None:
        """So many valid and so many invalid requests to each operation; others when it is called again."""
        for result in self._schema.get_all_operations():
            operation = result.ok()
            self._try(operation, GenerationMode.POSITIVE, per_operation)
            if operation.body or operation.query or operation.headers:
                self._try(operation, GenerationMode.NEGATIVE, per_operation)
        self._start += 1

    def _try(self, operation: Any, mode: GenerationMode, count: int) -> None:
        @seed(self._start)
        @settings(
            max_examples=count, deadline=None, database=None, suppress_health_check=QUIET, phases=[Phase.generate]
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Case) -> None:
            self._send(operation.label, mode, case)

        one()

    def _send(self, label: str, mode: GenerationMode, case: Case) -> None:
        if self._random.random() < SHARE_OF_KNOWN:
            self._use_known(case)
        answer = case.call(base_url=self._url, headers=self._headers, timeout=60)
        self.answers[f"{label} {answer.status_code}"] += 1
        try:
            case.validate_response(answer, headers=self._headers)
        except FailureGroup as group:
            for failure in group.exceptions:
                if not _is_fair(failure, answer):
                    self.wrong.append(f"{label} {mode.value}: {failure}\n{answer.text[:500]}\n{case.as_curl_command()}")

    def _use_known(self, case: Case) -> None:
        for name, values in self._known.items():
            if name in case.path_parameters:
                case.path_parameters[name] = self._random.choice(values)
        if isinstance(case.body, dict) and isinstance(case.body.get("data"), dict):
            body = deepcopy(case.body)
            body["data"] |= {name: value for name, value in self._data.items() if name in body["data"]}
            case.body = body


def _is_fair(failure: Any, answer: Any) -> bool:
    """Whether the answer is right although a schema, which cannot say all, would have it otherwise."""
    if failure.title == ACCEPTED:
        # an object in a query leaves nothing there, or text; an empty array nothing
        left_out = "became array" in failure.message and "cursor=" not in answer.request.url
        return left_out or "became object" in failure.message
    return failure.title == REJECTED and _names_what_is_wrong(answer)


def _names_what_is_wrong(answer: Any) -> bool:
    if answer.status_code == 400:
        return any(words in answer.text for words in UNREADABLE)
    if BEYOND_FIELDS in answer.text:
        return True
    problems = answer.json().get("errors", []) if answer.status_code == 422 else []
    uploads = answer.request.url.split("?")[0].endswith("/datasets")
    return bool(problems) and all(
        problem["field"].startswith(ABOUT_DATA) or (uploads and problem["field"] == "file") for problem in problems
    )


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind a real HTTP server; its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    started = threading.Event()
    startup = server.startup

    async def told(*arguments: Any, **options: Any) -> None:
        await startup(*arguments, **options)
        started.set()

    server.startup = told
    thread.start()
    assert started.wait(60)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
