"""A worker's line to the dispatcher."""

from __future__ import annotations

import concurrent.futures
import logging
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from ray_app.dispatcher.messages import Outcome, Report, Whereabouts
from training.errors import JobCancelledError, TrainingError, UnavailableError

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 20.0
"""A call that takes longer counts as unanswered."""
GIVE_UP_S = 600.0
"""How long an outcome is offered to a dispatcher whose store is away. After that the work of the attempt is lost."""
MAX_PAUSE_S = 5.0


class Link:
    """Calls of one attempt.

    No call uses `ray.get`: in a task's main thread that would tell Ray that the task is blocked, and Ray would lend its
    CPUs to the next one.
    """

    def __init__(self, dispatcher: ActorHandle[Any], job_id: str, attempt: int) -> None:
        self._dispatcher = dispatcher
        self._who = (job_id, attempt)
        self._stop_call: ray.ObjectRef[bool] | None = None

    def begin(self, where: Whereabouts) -> bool:
        """Asks whether to run at all: False where the job was cancelled or another attempt has taken over."""
        answer: bool = self._persistently(lambda: self._call("begin", where), ANSWER_TIMEOUT_S)
        return answer

    def on_stop(self, tell: Callable[[], None]) -> None:
        """Calls `tell`, from some thread, when the dispatcher wants the attempt to stop."""

        def answered(call: concurrent.futures.Future[bool]) -> None:
            if call.exception() is None and call.result():
                tell()

        # the reference is kept: the answer of a call that nobody refers to is dropped
        self._stop_call = self._dispatcher.until_stopped.remote(*self._who)
        self._stop_call.future().add_done_callback(answered)

    def report(self, report: Report) -> bool:
        """Delivers a report; the answer says whether to go on."""
        goes_on: bool = self._call("report", report)
        return goes_on

    def commit(self) -> None:
        """Asks, right before the version is registered, whether this attempt is still the one.

        Raises:
            JobCancelledError: it is not; nothing may be registered.
        """
        if not self._persistently(lambda: self._call("may_commit"), GIVE_UP_S):
            raise JobCancelledError("the job was asked to stop, or another attempt has taken over")

    def finish(self, outcome: Outcome, last: Report) -> bool:
        """Hands over the outcome; returns when it is stored: whether the job is over."""
        over: bool = self._persistently(lambda: self._call("finish", outcome, last), GIVE_UP_S)
        return over

    def _call(self, method: str, *arguments: Any) -> Any:
        reference = getattr(self._dispatcher, method).remote(*self._who, *arguments)
        try:
            return reference.future().result(ANSWER_TIMEOUT_S)
        except RayTaskError as error:
            if isinstance(error.cause, TrainingError):
                raise error.cause from None
            raise
        except (RayActorError, GetTimeoutError, TimeoutError) as error:
            raise UnavailableError(f"the dispatcher did not answer: {type(error).__name__}") from error

    def _persistently(self, call: Callable[[], Any], give_up_s: float) -> Any:
        deadline, pause_s = time.monotonic() + give_up_s, 0.1
        while True:
            try:
                return call()
            except UnavailableError as error:
                if time.monotonic() + pause_s > deadline:
                    raise
                logger.warning("%s; asking again in %.1f s", error, pause_s)
            time.sleep(pause_s)
            pause_s = min(MAX_PAUSE_S, pause_s * 2)
