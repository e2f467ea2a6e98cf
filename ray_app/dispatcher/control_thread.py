"""The thread in which the controller lives: calls and steps happen there one after the other."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ray_app.dispatcher.controller import Controller
from training.errors import TrainingError, UnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

TICK_S = 0.25
"""A step happens at least this often."""
RECONNECT_S = 1.0
"""Between two tries to open the job store."""

_Call = tuple[Callable[[Controller], Any], "Future[Any]"]


class ControlThread:
    """Serves a mailbox of calls to a controller, and steps it after each call and at every tick.

    Args:
        make: opens the store and makes the controller. It is tried again until it works, and calls are refused
            meanwhile.
    """

    def __init__(self, make: Callable[[], Controller]) -> None:
        self._make = make
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self.problem: str | None = "starting"
        """Why calls are refused, or why the last step failed; None when all is well."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the call that it is serving."""
        self._closing.set()
        self._thread.join()

    def call(self, function: Callable[[Controller], T]) -> Future[T]:
        """Runs `function` with the controller, soon.

        The future raises what it raises, and UnavailableError while there is no controller.
        """
        future: Future[T] = Future()
        self._calls.put((function, future))
        return future

    def _run(self) -> None:
        controller = None
        while controller is None and not self._closing.is_set():
            controller = self._started()
        stepped_at = 0.0
        while controller is not None and not self._closing.is_set():
            call = self._next(TICK_S)
            if call is not None:
                _serve(controller, *call)
            # callers that never pause must not keep the loop from what is due
            if self._calls.empty() or time.monotonic() - stepped_at > TICK_S:
                self._step(controller)
                stepped_at = time.monotonic()

    def _started(self) -> Controller | None:
        try:
            controller = self._make()
            controller.reconcile()
        except TrainingError as error:
            self.problem = error.message
            logger.warning("cannot start yet: %s", error.message)
        except Exception:
            # tried again like any other: a thread that ends would leave callers waiting for ever
            self.problem = "the dispatcher cannot start; its log has the details"
            logger.exception("cannot start yet")
        else:
            self.problem = None
            return controller
        self._refuse_calls(self.problem)
        return None

    def _refuse_calls(self, problem: str) -> None:
        """For RECONNECT_S, however many there are."""
        until = time.monotonic() + RECONNECT_S
        while (left_s := until - time.monotonic()) > 0 and not self._closing.is_set():
            call = self._next(left_s)
            if call is not None and call[1].set_running_or_notify_cancel():
                call[1].set_exception(UnavailableError(problem))

    def _next(self, timeout_s: float) -> _Call | None:
        try:
            return self._calls.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _step(self, controller: Controller) -> None:
        try:
            for action in controller.step():
                logger.info("%s %s %s", action.what, action.job_id, action.detail)
        except UnavailableError as error:
            self.problem = error.message
        except Exception:
            # the loop outlives a bug that one job brings out; it is seen in the log and in the health
            logger.exception("a step failed")
            self.problem = "the dispatcher's last step failed; its log has the details"
        else:
            self.problem = None


def _serve(controller: Controller, function: Callable[[Controller], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        # whoever asked has given up waiting; to answer a cancelled future would raise, and end this thread
        return
    try:
        future.set_result(function(controller))
    except BaseException as error:  # noqa: BLE001  it belongs to the caller, who waits for it
        future.set_exception(error)
