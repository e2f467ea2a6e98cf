"""Memory that is free goes back to the system, although what is in use lies between."""

from __future__ import annotations

import ctypes
import sys

import psutil
import pytest

from training.heap import trim

BLOCKS, BLOCK_BYTES = 600, 60_000


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries give back by themselves")
def test_free_pages_between_pieces_in_use_go_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    large, small = [], []
    for _ in range(BLOCKS):
        large.append(libc.malloc(BLOCK_BYTES))
        small.append(libc.malloc(2000))
        ctypes.memset(large[-1], 1, BLOCK_BYTES)
    used_bytes = psutil.Process().memory_info().rss
    for block in large:
        libc.free(block)  # what lies at the end of the heap goes back at once
    trim()
    given_back = used_bytes - psutil.Process().memory_info().rss
    for block in small:
        libc.free(block)
    assert given_back > BLOCKS * BLOCK_BYTES / 2
