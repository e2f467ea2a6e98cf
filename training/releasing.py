"""Taking back from Ray what a job holds there: its tasks, and the room of its workers.

Apart from `training.distributed`, because the dispatcher does so too, and should not have to import what fits models.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
from ray.util import get_placement_group, remove_placement_group
from ray.util.placement_group import placement_group_table

logger = logging.getLogger(__name__)


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


def release_named(label: str) -> None:
    """Gives back the room of an earlier attempt whose process was killed before it could."""
    try:
        left = get_placement_group(label)
    except ValueError:
        return
    logger.info("room that an earlier attempt left is given back")
    remove_placement_group(left)


def release_below(label: str) -> None:
    """Gives back what fits whose labels begin with this one, and a colon, have left."""
    table: dict[str, dict[str, object]] = placement_group_table()
    for entry in table.values():
        name = str(entry["name"])
        if name.startswith(f"{label}:") and entry["state"] != "REMOVED":
            release_named(name)
