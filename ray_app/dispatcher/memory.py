"""Gives back to the system the memory that the C library keeps after use.

Each call that waits in an async actor has a stack of its own. The C library places what lives longer between those that
come and go, so that the end of its heap seldom becomes free, and gives nothing back by itself: with a thousand calls at
once a dispatcher grew by 37 MB for each 1,000 jobs, while what it used stayed the same.
"""

from __future__ import annotations

import ctypes
import threading
import time

PAUSE_S = 10.0
"""Between two times; one takes some milliseconds for each 100 MB."""


def keep_giving_back() -> None:
    """Starts a thread that does so for as long as this process lives."""
    threading.Thread(target=_run, name="memory", daemon=True).start()


def give_back() -> bool:
    """Gives back the free pages of all heaps; whether there were any. Does nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


def _run() -> None:
    while True:
        time.sleep(PAUSE_S)
        give_back()
