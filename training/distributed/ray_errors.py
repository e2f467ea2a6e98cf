"""What Ray says of a worker that is no longer there, in few words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
)

from training.distributed.gang import LOOK_EVERY_S, node_is_alive

MAX_CHARS = 300
NO_MEMORY = "its node ran out of memory"
NODE_NOTICE_S = 45.0
"""In which Ray notices that a node is lost: five health checks that fail, 3 s apart, and their timeouts."""
DEATHS = (RayActorError, OutOfMemoryError)
"""What Ray answers of an actor that is dead: where its own monitor ended it, the second and not the first."""


def died_with_node(error: BaseException) -> bool:
    """Whether Ray says that it was the node that went away, or that the cloud took back."""
    text = str(error)
    if isinstance(error, RayActorError) and error.preempted:
        return True
    return isinstance(error, NodeDiedError) or "node has died" in text or "node was terminated" in text


def cause_of_death(error: BaseException) -> str:
    """Ray's account without its general advice, which tells the reader of files that he cannot see; "" for nothing."""
    text = str(error)
    if isinstance(error, OutOfMemoryError) or "running low on memory" in text or "out-of-memory" in text.lower():
        return NO_MEMORY
    code = re.search(r"exit code (\d+)", text)
    if code:
        return f"exit code {code[1]}"
    if "connection error code 2" in text or "Socket closed" in text:
        return "it was killed from outside (often for memory), left by itself, or crashed in native code"
    detail = re.search(r"Worker exit detail: ([^\n]+)", text)
    if detail:
        return detail[1][:MAX_CHARS]
    return text.splitlines()[0][:MAX_CHARS] if isinstance(error, ActorDiedError) and text else ""


class Verdict(NamedTuple):
    """How a worker ended: Ray's error, None where it gave none, and whether its node went with it."""

    error: BaseException | None
    with_node: bool


def verdict(ask: Callable[[], BaseException | None], node_id: str | None) -> Verdict:
    """Waits until Ray knows how a worker ended. To miss a node takes it some seconds, in which the worker is merely
    unavailable.

    Args:
        ask: Ray's error of a call to the worker; None where it answers.
        node_id: where it ran; None where that is not known.
    """
    deadline = time.monotonic() + NODE_NOTICE_S
    while True:
        error = ask()
        is_final = isinstance(error, DEATHS) and not isinstance(error, ActorUnavailableError)
        gone = node_id is not None and not node_is_alive(node_id)
        if is_final or gone or time.monotonic() >= deadline:
            return Verdict(error, gone or (error is not None and died_with_node(error)))
        time.sleep(LOOK_EVERY_S)


def original(error: BaseException) -> BaseException:
    """What Ray's exception was raised from, down to the first."""
    while isinstance(error, RayError) and isinstance(error.__cause__, RayError):
        error = error.__cause__
    return error
