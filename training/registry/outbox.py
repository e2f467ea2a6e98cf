"""Sends what is to be recorded from a thread of its own, so that a slow tracking server never holds up a fit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from training.errors import TrainingError, UnavailableError
from training.registry.errors import translated

Send = Callable[[], object]

AWAY_PAUSE_S = 2.0
"""Between two tries to reach a server that is away."""
TRIES = 3
"""Of a call that fails although the server answers: it may have been cut off by what is over by now. Where that was
not it, the calls after it are made once each."""


def _never() -> bool:
    return False


class Outbox:
    """Calls are made in the order in which they were put, one at a time, by one thread that starts with the first.

    A call that fails is remembered in `problems` and the next one is made: a job is not worth less because a figure of
    it was not recorded. While the server `is_away` calls are kept, and made when it is back. A call that may have been
    cut off is made again, so it must do no harm twice.
    """

    def __init__(self, name: str, is_away: Callable[[], bool] = _never) -> None:
        self._name, self._is_away = name, is_away
        self._queue: SimpleQueue[Send | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._given_up = threading.Event()
        self.problems: list[str] = []

    def put(self, send: Send) -> None:
        """Makes the call later."""
        self._queue.put(send)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Waits until all calls are made; False when that took longer. Nothing may be put afterwards.

        A server that is away then is waited for no longer.
        """
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout_s)
        self._given_up.set()
        return not self._thread.is_alive()

    def _run(self) -> None:
        most = TRIES
        while (send := self._queue.get()) is not None:
            most = TRIES if self._made(send, most) else 1

    def _made(self, send: Send, most: int) -> bool:
        """Makes the call, as often as it takes and at most so often while the server answers; whether it was heard."""
        tries = 0
        while (error := _error_of(send)) is not None:
            lost = isinstance(error, UnavailableError) and not self._given_up.is_set()
            if not (lost and self._is_away()):
                tries += 1
            if not lost or tries >= most:
                self.problems.append(error.message)
                return not isinstance(error, UnavailableError)
            self._given_up.wait(AWAY_PAUSE_S)
        return True


def _error_of(send: Send) -> TrainingError | None:
    """Makes the call; how it failed."""
    try:
        with translated("recording the run"):
            send()
    except TrainingError as error:
        return error
    return None


class MetricBuffer:
    """Gathers figures and hands them over in batches: at most one every `interval_s`, and on demand.

    Args:
        send: called with [(name, value, unix time in ms, step)].
        interval_s: seconds between two batches.
    """

    def __init__(self, send: Callable[[list[tuple[str, float, int, int]]], None], interval_s: float) -> None:
        self._send = send
        self._interval_s = interval_s
        self._held: list[tuple[str, float, int, int]] = []
        self._next_s = time.monotonic() + interval_s

    def add(self, values: dict[str, float], step: int) -> None:
        """Takes figures over."""
        now_ms = time.time_ns() // 1_000_000
        self._held.extend((name, value, now_ms, step) for name, value in values.items())
        if time.monotonic() >= self._next_s:
            self.flush()

    def flush(self) -> None:
        """Hands over what is held."""
        self._next_s = time.monotonic() + self._interval_s
        if self._held:
            held, self._held = self._held, []
            self._send(held)
