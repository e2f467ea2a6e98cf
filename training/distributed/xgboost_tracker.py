"""Makes xgboost-ray 0.1.19 work on XGBoost 2.1 and later.

xgboost-ray starts the tracker through which its actors find one another with the interface that XGBoost had before
2.1, and fails with a TypeError on today's. This replaces its two functions by a pair that runs
`xgboost.tracker.RabitTracker` in a process of its own, so that a tracker that waits for a dead actor can be ended by
ending the process: in the same process `RabitTracker.free` raises after an actor's death. To be removed once
xgboost-ray itself supports XGBoost 3.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import xgboost_ray.main
from ray.util import get_node_ip_address
from xgboost.tracker import RabitTracker

from training.errors import UnavailableError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0


def _serve(workers: int, host: str, answer: Connection) -> None:
    """Runs a tracker until its workers have ended; sends what they need to find it."""
    tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task")
    tracker.start()
    answer.send(tracker.worker_args())
    answer.close()
    tracker.wait_for()


def start_tracker(num_workers: int) -> tuple[multiprocessing.process.BaseProcess, dict[str, Any]]:
    """Starts the tracker process; answers it and the arguments for the workers' communicator.

    Raises:
        UnavailableError: the tracker did not come up.
    """
    spawn = multiprocessing.get_context("spawn")
    host: str = get_node_ip_address()  # type: ignore[no-untyped-call]  # ray.util has no annotation here
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(num_workers, host, sender), daemon=True)
    process.start()
    sender.close()
    try:
        arguments = receiver.recv() if receiver.poll(START_TIMEOUT_S) else None
    except EOFError:
        arguments = None
    receiver.close()
    if arguments is None:
        process.kill()
        raise UnavailableError(f"XGBoost's tracker did not start within {START_TIMEOUT_S:.0f} s")
    return process, dict(arguments)


def stop_tracker(process: multiprocessing.process.BaseProcess) -> None:
    """Ends the tracker, also one that still waits for a worker that is dead."""
    process.kill()
    process.join(timeout=STOP_TIMEOUT_S)


def install() -> None:
    """Puts the pair in the place of xgboost-ray's own, which has no public seam; many times is as once."""
    xgboost_ray.main._start_rabit_tracker = start_tracker
    xgboost_ray.main._stop_rabit_tracker = stop_tracker
