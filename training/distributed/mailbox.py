"""How the workers of a fit talk to the process that started them: a small actor between them.

The workers post what happens; the other side takes it away several times a second, so that a dead worker leaves nobody
waiting. It also holds the one flag that asks all workers to stop.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class Post:
    """What the workers have posted since the last look. `silent_s`: how long each rank has said nothing."""

    messages: Sequence[Any]
    silent_s: dict[int, float]


@dataclass
class _Box:
    """The actor's inside."""

    messages: list[Any] = field(default_factory=list)
    heard_at: dict[int, float] = field(default_factory=dict)
    stop: bool = False

    def post(self, message: Any) -> None:
        self.messages.append(message)

    def beat(self, rank: int) -> None:
        self.heard_at[rank] = time.monotonic()

    def stop_asked(self) -> bool:
        return self.stop

    def take(self) -> Post:
        taken, self.messages = self.messages, []
        now = time.monotonic()
        return Post(taken, {rank: now - heard for rank, heard in self.heard_at.items()})

    def ask_to_stop(self) -> None:
        self.stop = True

    def forget(self) -> None:
        """For the next start of the workers."""
        self.messages, self.heard_at, self.stop = [], {}, False


_BoxActor = ray.remote(num_cpus=0, max_restarts=0)(_Box)


@dataclass(frozen=True)
class Mailbox:
    """A handle to it, for both sides; picklable."""

    actor: ActorHandle[Any]

    @classmethod
    def start(cls, label: str) -> Self:
        """Starts the actor on this node, for it is of use only to this process, and dies with it."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = _BoxActor.options(name=f"{label}:mailbox", scheduling_strategy=here).remote()
        return cls(actor)

    def post(self, message: Any) -> None:
        """Leaves a message; does not wait."""
        self.actor.post.remote(message)

    def deliver(self, message: Any) -> None:
        """Leaves a message, and returns when it is there: what a worker says last must not be overtaken by its end."""
        ray.get(self.actor.post.remote(message))

    def beat(self, rank: int) -> None:
        """Says that the rank lives; does not wait."""
        self.actor.beat.remote(rank)

    def stop_asked(self) -> bool:
        """Whether all workers are asked to stop."""
        asked: Any = ray.get(self.actor.stop_asked.remote())
        return bool(asked)

    def take(self) -> Future[Post]:
        """Takes the messages away, as soon as the actor answers."""
        future: Future[Post] = self.actor.take.remote().future()
        return future

    def ask_to_stop(self) -> None:
        """Asks all workers to stop after their present step."""
        self.actor.ask_to_stop.remote()

    def forget(self) -> None:
        """Empties it for the next start of the workers."""
        self.actor.forget.remote()

    def close(self) -> None:
        """Ends the actor."""
        ray.kill(self.actor)
