"""Errors in words: what is wrong, the field and the value, the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from ray_app.cli.output import err
from ray_app.client.errors import MtsApiError, MtsConnectionError
from ray_app.jobs.model import JobError
from ray_app.local.errors import LocalError
from ray_app.settings import Settings
from training.errors import TrainingError


def show(error: Exception) -> bool:
    """Prints an error that is meant for the user; False where it is a fault of the program."""
    match error:
        case MtsApiError():
            problem = error.problem
            fields = [(item.field, item.value, item.message) for item in problem.errors]
            notes = [note for note in (problem.job and f"job: {problem.job}", _request(error)) if note]
            _print(problem.title, problem.detail, fields, problem.hint, notes)
        case MtsConnectionError():
            _print("No service", str(error), (), "start it with `mts up`, or name another with --url")
        case TrainingError():
            fields = [(item.field, item.value, item.message) for item in error.problems]
            _print(type(error).__name__, error.message, fields, error.hint)
        case LocalError():
            _print("Not started", error.message, (), error.hint, error.log)
        case ValidationError() if error.title == Settings.__name__:
            fields = [(_variable(item["loc"]), item.get("input"), item["msg"]) for item in error.errors()]
            _print("Settings", "the environment or .env holds a setting that cannot work", fields)
        case PermissionError() | FileNotFoundError():
            _print("File", str(error), ())
        case _:
            return False
    return True


def show_job_error(error: JobError) -> None:
    """Prints why a job failed."""
    fields = [(item.field, item.value, item.message) for item in error.errors]
    _print(error.type, error.message, fields, error.hint)


def _print(
    title: str,
    message: str,
    fields: Iterable[tuple[str, Any, str]],
    hint: str | None = None,
    notes: Iterable[str] = (),
) -> None:
    err.print(f"[bold red]{title}[/bold red]", end=": ")
    err.print(message, markup=False)
    for field, value, text in fields:
        got = "" if value is None else f" (got {value!r})"
        err.print(f"  {field or 'spec'}: {text}{got}", markup=False)
    if hint:
        err.print(f"  remedy: {hint}", markup=False)
    for note in notes:
        err.print(f"  {note}", markup=False, style="dim")


def _request(error: MtsApiError) -> str:
    return f"request: {error.problem.request_id}" if error.status >= 500 and error.problem.request_id else ""


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() or not name else f"MTS_{name.upper()}"
