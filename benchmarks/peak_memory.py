"""The most memory that a family of processes holds beyond what it held at the start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import psutil

LOOK_EVERY_S = 0.25
"""More often takes processor time from what is measured."""


class Peak:
    """Measures this process and all below it while its context lasts; `peak_mb` afterwards.

    Shared pages are counted once, in parts. What a process held at the start does not count, and a process that ends
    makes no room for others.
    """

    def __enter__(self) -> Self:
        self.peak_mb, self._over = 0.0, threading.Event()
        self._start_mb = dict(_held_mb())
        self._pool = ThreadPoolExecutor(1)
        self._looks = self._pool.submit(self._watch)
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._looks.result()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            more_mb = (max(0.0, held_mb - self._start_mb.get(number, 0.0)) for number, held_mb in _held_mb())
            self.peak_mb = max(self.peak_mb, sum(more_mb))


def _held_mb() -> Iterator[tuple[int, float]]:
    """Process ids, and what each holds."""
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            held = process.memory_full_info().pss
        except psutil.NoSuchProcess:  # it has ended since it was listed, and holds nothing
            held = 0
        yield process.pid, held / 1e6
