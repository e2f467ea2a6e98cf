"""A process's memory: what it gives back by itself, and what its collector looks through, is less than one thinks."""

from __future__ import annotations

import ctypes
import gc


def trim() -> None:
    """Gives back the free pages of the C library's heaps, of which it gives back the ends alone.

    Does nothing where there is no glibc.
    """
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if found is not None:
        found(0)


def settle() -> None:
    """Takes what is loaded by now out of the collector's sight, for a process that answers others while it lives.

    To look through the modules of Ray, pandas and MLflow stops all threads for 60 to 250 ms, every few seconds.
    """
    gc.collect()
    gc.freeze()
