"""Cancelling a task without harm to the process that made it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ray


def cancel(task: ray.ObjectRef[Any], *, force: bool = False, recursive: bool = True) -> None:
    """Like `ray.cancel`, soon, and in the thread in which Ray hears how its tasks end.

    Called in any other thread, `ray.cancel` of Ray 2.60 can meet a task between two steps of its completion, and then
    a check of Ray's ends the whole process ("Tried to complete task that was not pending"; ray-project/ray#54785 tells
    of the same race). Ray's callbacks of completed objects run in that thread, one after the other with all it hears.
    """
    bell: ray.ObjectRef[None] = ray.put(None)

    # the bell goes with the callback: of an object that nobody refers to Ray does not hear
    bell._on_completed(partial(_rung, bell, partial(ray.cancel, task, force=force, recursive=recursive)))


def _rung(_bell: ray.ObjectRef[None], do: Callable[[], None], _answer: object) -> None:
    do()
