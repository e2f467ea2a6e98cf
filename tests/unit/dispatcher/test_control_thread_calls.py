"""Callers of the controller's thread that give up, and starts that fail, leave it at work."""

from __future__ import annotations

import threading
from typing import Any, cast

from ray_app.dispatcher.control_thread import ControlThread
from ray_app.dispatcher.controller import Controller


class Idle:
    """A controller with nothing to do; the real one is stepped in its own tests."""

    def reconcile(self) -> None:
        pass

    def step(self) -> list[Any]:
        return []


def test_a_caller_that_gives_up_does_not_end_the_thread() -> None:
    control = ControlThread(lambda: cast("Controller", Idle()))
    held, goes_on = threading.Event(), threading.Event()

    def hold(_: Controller) -> None:
        held.set()
        goes_on.wait(30)

    first = control.call(hold)
    assert held.wait(30)
    given_up = control.call(lambda _: "nobody hears this")
    assert given_up.cancel()
    goes_on.set()

    assert first.result(30) is None
    assert control.call(lambda _: "still here").result(30) == "still here"
    control.close()


def test_a_start_that_fails_for_an_unforeseen_reason_is_tried_again() -> None:
    tries: list[int] = []

    def make() -> Controller:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("a bug")
        return cast("Controller", Idle())

    control = ControlThread(make)
    while control.problem is not None:
        assert len(tries) < 3
    assert control.call(lambda _: "at work").result(30) == "at work"
    control.close()
