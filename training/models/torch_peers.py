"""The processes that train one network together. Alone, there is one; what several do is not known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt
from torch import Tensor

from training.mts_scoring.network_base import Inputs, Network


class Scored(NamedTuple):
    """Validation rows with their scores, as arrays of equal length; `weight` None for equal weights."""

    scores: npt.NDArray[Any]
    target: npt.NDArray[Any]
    weight: npt.NDArray[Any] | None


class Peers(Protocol):
    """What a training asks of the processes that share it.

    Each process has rows of its own. All of them call the same methods in the same order, and `agreed`, `total` and
    `gathered` give the same in each, so that all of them stop at the same epoch.
    """

    rank: int
    count: int

    def forward(self, network: Network) -> Callable[[Inputs], Tensor]:
        """The network, such that a backward pass averages the gradients of all."""

    def batches(self, rows: int, batch_size: int) -> Sequence[slice]:
        """Where the batches of one epoch lie among the rows of this process; as many in each process."""

    def agreed(self, value: float) -> float:
        """The value of rank 0."""

    def is_late(self, *, late: bool) -> bool:
        """Whether rank 0 is late; asked after each batch."""

    def total(self, values: Tensor) -> Tensor:
        """The sum over all."""

    def gathered(self, scored: Scored) -> Scored:
        """The validation rows of all, by rank."""

    def save_if_due(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keeps the state after an epoch, where it is time to; it is made only then."""

    def resumed(self, name: str) -> Mapping[str, Any] | None:
        """The state that was saved of a network of that name that was not yet done; None to start from nothing."""

    def pause(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """A network's training ends here, and may go on from its state in another stage; it is made only if wanted."""

    def keep(self, name: str, result: Mapping[str, Any]) -> None:
        """A network is done."""

    def kept(self, name: str) -> Mapping[str, Any] | None:
        """What `keep` was given in an earlier start; None where that network was not done."""


class Alone:
    """One process."""

    rank = 0
    count = 1

    def forward(self, network: Network) -> Callable[[Inputs], Tensor]:
        """The network itself."""
        return network

    def batches(self, rows: int, batch_size: int) -> Sequence[slice]:
        """Batches of `batch_size`; the last one may be smaller."""
        return [slice(start, start + batch_size) for start in range(0, rows, batch_size)]

    def agreed(self, value: float) -> float:
        """The value."""
        return value

    def is_late(self, *, late: bool) -> bool:
        """What was asked."""
        return late

    def total(self, values: Tensor) -> Tensor:
        """The values."""
        return values

    def gathered(self, scored: Scored) -> Scored:
        """The rows."""
        return scored

    def save_if_due(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Nothing is kept: a fit in one process is short, or has several workers."""

    def resumed(self, name: str) -> Mapping[str, Any] | None:
        """Nothing was saved."""
        return None

    def pause(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """As above."""

    def keep(self, name: str, result: Mapping[str, Any]) -> None:
        """As above."""

    def kept(self, name: str) -> Mapping[str, Any] | None:
        """Nothing was kept."""
        return None
