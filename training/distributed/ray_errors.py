"""What Ray says of a worker that is no longer there, in few words."""

from __future__ import annotations

import re

from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayError

MAX_CHARS = 300


def died_with_node(error: BaseException) -> bool:
    """Whether Ray says that it was the node that went away."""
    text = str(error)
    return isinstance(error, NodeDiedError) or "node has died" in text or "node was terminated" in text


def cause_of_death(error: BaseException) -> str:
    """Ray's account without its general advice, which tells the reader of files that he cannot see; "" for nothing."""
    text = str(error)
    if isinstance(error, OutOfMemoryError) or "running low on memory" in text or "out-of-memory" in text.lower():
        return "its node ran out of memory"
    code = re.search(r"exit code (\d+)", text)
    if code:
        return f"exit code {code[1]}"
    if "connection error code 2" in text or "Socket closed" in text:
        return "it was killed from outside (often for memory), left by itself, or crashed in native code"
    detail = re.search(r"Worker exit detail: ([^\n]+)", text)
    if detail:
        return detail[1][:MAX_CHARS]
    return text.splitlines()[0][:MAX_CHARS] if isinstance(error, ActorDiedError) and text else ""


def original(error: BaseException) -> BaseException:
    """What Ray's exception was raised from, down to the first."""
    while isinstance(error, RayError) and isinstance(error.__cause__, RayError):
        error = error.__cause__
    return error
