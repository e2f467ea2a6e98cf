"""Runs XGBoost's tracker in a process of its own: `python tracker_process.py WORKERS HOST`.

Prints the arguments of the workers' communicator as one line of JSON, and ends when its standard input is closed, so
that it never outlives the process that started it. Imports nothing of the project: it is up in the time that XGBoost
takes to import.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from xgboost.tracker import RabitTracker


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main(workers: int, host: str) -> None:
    """Serves until the workers are through."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task")
    tracker.start()
    sys.stdout.write(json.dumps(tracker.worker_args()) + "\n")
    sys.stdout.flush()
    tracker.wait_for()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
