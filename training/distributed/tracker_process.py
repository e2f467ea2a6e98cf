"""Runs XGBoost's tracker in a process of its own: `python tracker_process.py HOST`.

Its standard input first gives the number of workers, as a line; then it prints the arguments of the workers'
communicator as one line of JSON. It ends when its standard input is closed, so that it never outlives the process that
started it. Imports nothing of the project: it is up in the time that XGBoost takes to import.
"""

from __future__ import annotations

import json
import os
import sys
import threading

# XGBoost imports scikit-learn where there is one, which takes three quarters of the time, and is of no use here
sys.modules["sklearn"] = None  # type: ignore[assignment]  # to Python this means that there is none

from xgboost.tracker import RabitTracker  # noqa: E402 - after the line above


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main(host: str) -> None:
    """Serves until the workers are through."""
    told = sys.stdin.readline()
    if not told:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tracker = RabitTracker(n_workers=int(told), host_ip=host, sortby="task")
    tracker.start()
    sys.stdout.write(json.dumps(tracker.worker_args()) + "\n")
    sys.stdout.flush()
    tracker.wait_for()


if __name__ == "__main__":
    main(sys.argv[1])
