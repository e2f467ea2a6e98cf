"""What becomes of a fit whose workers are lost: a policy that only decides; the engine acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.distributed.base import PLATFORM_RESTARTS, Spread
from training.distributed.ray_errors import NO_MEMORY
from training.errors import WorkerLostError

LossKind = Literal["died", "hung", "node"]

_WHAT: dict[LossKind, str] = {
    "died": "died",
    "hung": "said nothing for too long",
    "node": "was lost with its node",
}
_HINTS: dict[LossKind, str] = {
    "died": "somebody or the system killed it, often for memory, or a native library crashed; "
    "resources.memory_mb reserves memory",
    "hung": "its machine may be overloaded, or its storage away",
    "node": "see the cluster's own log; spot instances and node upgrades do this",
}
_MEMORY_HINT = "reserve more with resources.memory_mb, divide the rows among more workers, or train on fewer of them"


@dataclass(frozen=True)
class Loss:
    """A worker that is no longer there. `detail`: what Ray or the system says of it; "" for nothing."""

    kind: LossKind
    rank: int
    host: str
    pid: int
    detail: str = ""

    def __str__(self) -> str:
        where = f" on {self.host} (process {self.pid})" if self.host else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"worker {self.rank}{where} {_WHAT[self.kind]}{detail}"


class WorkersLostError(Exception):
    """The workers of the present start are no longer complete."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(str(loss))
        self.loss = loss


class Restarts:
    """Counts restarts of one fit: those for lost nodes apart from those that are counted against the job."""

    def __init__(self, spread: Spread) -> None:
        self._allowed = {False: spread.max_restarts, True: PLATFORM_RESTARTS}
        self._used = {False: 0, True: 0}

    def spend(self, loss: Loss) -> str:
        """Takes one restart; what to tell of it.

        Raises:
            WorkerLostError: there is none left.
        """
        is_platform = loss.kind == "node"
        used, allowed = self._used[is_platform], self._allowed[is_platform]
        if used >= allowed:
            times = "" if not used else f"; gave up after {used} restart{'s' if used > 1 else ''}"
            hint = _MEMORY_HINT if loss.detail == NO_MEMORY else _HINTS[loss.kind]
            raise WorkerLostError(f"{loss}{times}", hint=hint)
        self._used[is_platform] += 1
        return f"{loss}; the fit starts again from its last checkpoint (restart {used + 1} of {allowed})"
