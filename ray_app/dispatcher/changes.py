"""Wakes coroutines that wait for something to happen to a job."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Changes:
    """Signals by key, for the coroutines of one event loop. A key that nobody waits for costs nothing.

    A waiter first takes the signal, then looks, then waits: what happens in between is not lost.
    """

    def __init__(self) -> None:
        self._signals: WeakValueDictionary[str, asyncio.Future[None]] = WeakValueDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None

    def signal(self, key: str) -> asyncio.Future[None]:
        """Done as soon as something happens. Shared by all who wait, so wait for it with `asyncio.wait`."""
        self._loop = asyncio.get_running_loop()
        signal = self._signals.get(key)
        if signal is None:
            signal = self._loop.create_future()
            self._signals[key] = signal
        return signal

    def announce(self, key: str) -> None:
        """Something has happened. May be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, key)

    def _wake(self, key: str) -> None:
        signal = self._signals.pop(key, None)
        if signal is not None:
            signal.set_result(None)
