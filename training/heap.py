"""The C library's memory, of which it gives nothing back by itself but what lies at the end of a heap."""

from __future__ import annotations

import ctypes


def trim() -> None:
    """Gives back the free pages of all heaps. Does nothing where there is no glibc."""
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if found is not None:
        found(0)
