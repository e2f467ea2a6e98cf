"""Makes a worker process ready before its first job comes."""

from __future__ import annotations

import time
from functools import cache

from ray_app.dispatcher.messages import Place
from ray_app.dispatcher.runner import load_runner
from ray_app.dispatcher.worker import be_nice


def warm(runner: str, place: Place, stay_s: float) -> float:
    """The task. It stays for `stay_s` at least, so that tasks started together take a process each.

    Returns:
        Seconds that it took to get ready: near zero in a process that was warm already.
    """
    started = time.monotonic()
    be_nice()
    _rehearse(runner, place)
    ready_s = time.monotonic() - started
    time.sleep(max(0.0, stay_s - ready_s))
    return ready_s


@cache
def _rehearse(runner: str, place: Place) -> None:
    """Once in a process."""
    load_runner(runner).rehearse(place)
