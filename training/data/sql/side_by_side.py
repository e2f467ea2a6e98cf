"""Several streams read at once, and given out one after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

MAX_CONNECTIONS = 4
"""At once; a database has other users too."""
BATCHES_AHEAD = 4
"""Of each stream that is not yet at its turn; a batch of ADBC has 16 MB."""
_LOOK_S = 0.1


class _End:
    """Stands for the end of a stream, with what ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def side_by_side(streams: Sequence[Callable[[], Iterator[Any]]]) -> Iterator[Any]:
    """All items of the first stream, then all of the second, and so on, while the next ones are read ahead.

    Raises:
        Exception: what a stream raises, at its turn. The other streams are then stopped.
    """
    stopped = threading.Event()
    queues = [queue.Queue[Any](BATCHES_AHEAD) for _ in streams]
    # the pool begins with the first streams, so the one whose turn it is always runs
    with ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="sql") as pool:
        for stream, into in zip(streams, queues, strict=True):
            pool.submit(_fill, stream, into, stopped)
        try:
            for one in queues:
                while not isinstance(item := one.get(), _End):
                    yield item
                if item.error is not None:
                    raise item.error
        finally:
            stopped.set()


def _fill(stream: Callable[[], Iterator[Any]], into: queue.Queue[Any], stopped: threading.Event) -> None:
    try:
        for item in stream():
            if not _put(into, item, stopped):
                return
    except BaseException as error:  # noqa: BLE001  raised again where the stream is read
        _put(into, _End(error), stopped)
    else:
        _put(into, _End(), stopped)


def _put(into: queue.Queue[Any], item: Any, stopped: threading.Event) -> bool:
    """Waits for a place; False where nobody reads any more."""
    while not stopped.is_set():
        try:
            into.put(item, timeout=_LOOK_S)
        except queue.Full:
            held = False
        else:
            held = True
        if held:
            return True
    return False
