"""Jobs on their way into the store: all that have come by the time the controller turns to them are stored at once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ray_app.dispatcher.controller import Controller, Submission
from ray_app.jobs.model import Job
from training.errors import TrainingError, UnavailableError

logger = logging.getLogger(__name__)

MAX_AT_ONCE = 64
"""What else the controller has to do waits no longer than for so many."""

Stored = tuple[Job, bool]
_Waiting = tuple[Submission, "Future[Stored]"]


class Intake:
    """A write that reaches the disk costs as much for one job as for many, so those that wait share one.

    Args:
        call: runs a function with the controller, soon; the future raises UnavailableError where there is none.
    """

    def __init__(self, call: Callable[[Callable[[Controller], None]], Future[None]]) -> None:
        self._call = call
        self._waiting: deque[_Waiting] = deque()
        self._taking = threading.Lock()

    def submit(self, asked: Submission) -> Future[Stored]:
        """The job, once it is stored; see Controller.submit. May be called from any thread."""
        future: Future[Stored] = Future()
        self._waiting.append((asked, future))
        self._call(self._store).add_done_callback(self._refuse)
        return future

    def _store(self, controller: Controller) -> None:
        """There is a call for each that waits; one that finds others has the calls of those find nothing."""
        waiting = self._taken(MAX_AT_ONCE)
        if not waiting:
            return
        try:
            answers = controller.submit_all([asked for asked, _ in waiting])
        except UnavailableError as error:
            _answer(waiting, [error] * len(waiting))
        except Exception:
            # one of them is to blame, and only its caller is to hear of it
            logger.exception("%d jobs cannot be stored together; each is tried alone", len(waiting))
            for one in waiting:
                self._store_alone(controller, one)
        else:
            _answer(waiting, answers)

    def _store_alone(self, controller: Controller, one: _Waiting) -> None:
        asked, future = one
        try:
            [answer] = controller.submit_all([asked])
        except Exception as error:  # noqa: BLE001  it belongs to the caller, who waits for it
            future.set_exception(error)
        else:
            _answer([one], [answer])

    def _refuse(self, call: Future[None]) -> None:
        error = call.exception()
        if error is not None:
            for _, future in self._taken(len(self._waiting)):
                future.set_exception(error)

    def _taken(self, limit: int) -> list[_Waiting]:
        """Those that wait first, without the ones whose callers have given up."""
        with self._taking:
            found = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        return [one for one in found if one[1].set_running_or_notify_cancel()]


def _answer(waiting: list[_Waiting], answers: Sequence[Stored | TrainingError]) -> None:
    for (_, future), answer in zip(waiting, answers, strict=True):
        if isinstance(answer, TrainingError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
