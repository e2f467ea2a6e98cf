"""What can go wrong in a call to the service.

MtsError
├── MtsApiError           the service answered with a problem
└── MtsConnectionError    the service did not answer
"""

from __future__ import annotations

from typing import Any, Self

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError


class FieldProblem(BaseModel):
    """A field at fault: dotted path, the value found there, what to do."""

    field: str
    value: Any = None
    message: str


class Problem(BaseModel):
    """The service's answer to a request that it cannot fulfil, as in RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = ""
    status: int
    detail: str = ""
    hint: str | None = None
    errors: list[FieldProblem] = []
    job: str | None = None
    request_id: str | None = None


class MtsError(Exception):
    """Base of the client's errors."""


class MtsConnectionError(MtsError):
    """The service did not answer.

    Args:
        url: base URL of the service.
        reason: what the network said.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url} does not answer: {self.reason}"


class MtsApiError(MtsError):
    """The service answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @classmethod
    def of(cls, response: httpx.Response) -> Self:
        """From a response whose body has been read; something in between may have answered instead of the service."""
        try:
            return cls(Problem.model_validate_json(response.content))
        except ValidationError:
            return cls(Problem(status=response.status_code, title=response.reason_phrase, detail=response.text[:500]))

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.problem.status

    @property
    def title(self) -> str:
        """The kind of problem in words."""
        return self.problem.title

    @property
    def detail(self) -> str:
        """What was wrong this time."""
        return self.problem.detail

    @property
    def hint(self) -> str | None:
        """The remedy."""
        return self.problem.hint

    @property
    def errors(self) -> list[FieldProblem]:
        """The fields at fault."""
        return self.problem.errors

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"
