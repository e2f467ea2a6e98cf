"""The same function on many parts of something large, on the cluster's CPUs, a few parts in memory at a time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError
from threadpoolctl import threadpool_limits

from training.distributed.fit_tasks import Manners, behave, manners
from training.distributed.ray_errors import cause_of_death
from training.errors import UnavailableError
from training.releasing import cancel

logger = logging.getLogger("training")

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Found = TypeVar("Found")

MAX_AT_ONCE = 32
"""More would wait for the one process that reads the parts."""
RETRIES = 2


def in_parallel(
    function: Callable[[Shared, Part], Found], shared: Shared, parts: Iterable[Part], *, name: str
) -> Iterator[Found]:
    """`function(shared, part)` of each part, in their order; as Ray tasks where there is a cluster, here where not.

    Parts are taken as the tasks get on: one is read ahead, so that memory does not grow with their number. A task whose
    process dies is done again, twice; a part may therefore be done more than once.

    Args:
        function: of a module, so that workers can import it; changes nothing.
        shared: goes to each process once.
        parts: are taken one after the other.
        name: of the tasks, in Ray's dashboard.

    Raises:
        UnavailableError: the process of a part has died again and again.
        Exception: whatever `parts` or `function` raise.
    """
    if not ray.is_initialized():
        yield from (function(shared, part) for part in parts)
        return
    cpus: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]  # Ray has no types here
    at_once = max(1, min(MAX_AT_ONCE, int(cpus)))
    box, ways = [ray.put(shared)], manners()
    task = _task.options(name=name, num_cpus=1)
    running: deque[ray.ObjectRef[Found]] = deque()
    try:
        for part in parts:
            running.append(task.remote(function, box, part, ways))
            if len(running) > at_once:
                yield _result(running)
        while running:
            yield _result(running)
    finally:
        for reference in running:
            cancel(reference, force=True)


def _result(running: deque[ray.ObjectRef[Found]]) -> Found:
    """Of the oldest. It stays in the queue until it is done, so that it can be cancelled."""
    try:
        found = ray.get(running[0])
    except RayTaskError as error:
        cause: BaseException = error.cause
        raise cause from None
    except RayError as error:
        detail = cause_of_death(error) or type(error).__name__
        raise UnavailableError(f"a worker process died {RETRIES + 1} times: {detail}", hint="Try again.") from None
    running.popleft()
    return found


def _run(function: Callable[[Any, Any], Any], box: list[ray.ObjectRef[Any]], part: Any, ways: Manners) -> Any:
    """The task. The processes that run it have run others."""
    behave(ways)
    with threadpool_limits(1):
        return function(_kept(box[0]), part)


_task = ray.remote(max_retries=RETRIES)(_run)


@lru_cache(maxsize=1)
def _kept(reference: ray.ObjectRef[Any]) -> Any:
    """What is shared, read once by a process and not for each part."""
    return ray.get(reference)
