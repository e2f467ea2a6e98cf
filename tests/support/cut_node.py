"""A node of a Ray cluster that can be cut off and connected again.

Where this user may make network namespaces, the node lives in one of its own and its cable is pulled. Elsewhere its
processes are frozen: to the rest of the cluster that is the same, a node that does not answer and comes back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

NUMBER = os.getpid() % 250
HEAD_IP, NODE_IP = f"10.201.{NUMBER}.1", f"10.201.{NUMBER}.2"
SPACE, OUTSIDE, INSIDE = f"mts{NUMBER}", f"mts{NUMBER}a", f"mts{NUMBER}b"


@dataclass
class Cable:
    """How the node is reached; `own` is whether it has a network namespace of its own."""

    own: bool

    @property
    def head_ip(self) -> str:
        """Where the head must listen, so that the node can reach it."""
        return HEAD_IP if self.own else "127.0.0.1"

    @property
    def node_ip(self) -> str:
        """Of the node."""
        return NODE_IP if self.own else "127.0.0.1"

    @property
    def there(self) -> list[str]:
        """What runs a command where the node lives."""
        return ["ip", "netns", "exec", SPACE] if self.own else []


@contextmanager
def cable() -> Iterator[Cable]:
    """Lays the cable, and takes it away."""
    if subprocess.run(["ip", "netns", "add", SPACE], capture_output=True, check=False).returncode != 0:
        yield Cable(own=False)
        return
    try:
        for command in (
            ["link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", SPACE],
            ["addr", "add", f"{HEAD_IP}/24", "dev", OUTSIDE],
            ["link", "set", OUTSIDE, "up"],
            ["-n", SPACE, "addr", "add", f"{NODE_IP}/24", "dev", INSIDE],
            ["-n", SPACE, "link", "set", INSIDE, "up"],
            ["-n", SPACE, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *command], check=True, capture_output=True)
        yield Cable(own=True)
    finally:
        subprocess.run(["ip", "netns", "del", SPACE], check=True, capture_output=True)


class CutNode:
    """The node.

    Args:
        line: the cable.
        address: of the cluster.
        num_cpus: of the node.
    """

    def __init__(self, line: Cable, address: str, num_cpus: int) -> None:
        self._line = line
        self._process = subprocess.Popen(
            [*line.there, sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block",
             f"--node-ip-address={line.node_ip}", f"--num-cpus={num_cpus}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def cut(self) -> None:
        """Nothing comes through any more."""
        if self._line.own:
            self._link("down")
        else:
            self._signal(signal.SIGSTOP)

    def mend(self) -> None:
        """It does again."""
        if self._line.own:
            self._link("up")
        else:
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Ends its processes, whatever state they are in."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", OUTSIDE, state], check=True, capture_output=True)

    def _signal(self, number: signal.Signals) -> None:
        family = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        for process in family:
            if process.is_running():
                process.send_signal(number)
