"""XGBoost's tracker, through which the workers of one fit find one another, in a process of its own.

xgboost-ray 0.1.19 starts the tracker by the interface that XGBoost had before 2.1, and fails with a TypeError on
today's. A process of its own can be ended while it still waits for a worker that is dead: in the same process
`RabitTracker.free` raises then.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.util import get_node_ip_address

from training.errors import UnavailableError

PROGRAM = Path(__file__).with_name("tracker_process.py")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0


class Tracker:
    """Starts at once and in the background; `arguments` waits until it is up. For one start of the workers only."""

    def __init__(self) -> None:
        host: str = get_node_ip_address()  # type: ignore[no-untyped-call]  # ray.util has no annotation here
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(PROGRAM), host],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def arguments(self, workers: int) -> dict[str, Any]:
        """For the communicator of each of so many workers. May be asked once.

        Raises:
            UnavailableError: the tracker did not come up.
        """
        entry, output = self._process.stdin, self._process.stdout
        assert entry is not None  # noqa: S101 - a pipe was asked for
        assert output is not None  # noqa: S101 - as above
        with suppress(BrokenPipeError):  # it has ended, and says nothing
            entry.write(b"%d\n" % workers)
            entry.flush()
        ready, _, _ = select.select([output], [], [], START_TIMEOUT_S)
        line = output.readline() if ready else b""
        if not line:
            self.stop()
            raise UnavailableError(f"XGBoost's tracker did not start within {START_TIMEOUT_S:.0f} s")
        return dict(json.loads(line))

    def stop(self) -> None:
        """Ends it, also while it waits for a worker that is dead. Many times is as once."""
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
