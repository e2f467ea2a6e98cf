"""How the workers of a fit talk to the process that started them: a small actor between them.

The workers post what happens; the other side takes it away several times a second, so that a dead worker leaves nobody
waiting. It also holds the flag that asks all workers of a start to stop.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from training.mailbox_box import Box

BEAT_EVERY_S = 2.0

_BoxActor = ray.remote(num_cpus=0, max_restarts=0)(Box)

Taken = tuple[list[bytes], dict[int, float]]
"""See Box.take."""


@dataclass(frozen=True)
class Post:
    """What the workers have posted since the last look. `silent_s`: how long each rank has said nothing."""

    messages: Sequence[Any]
    silent_s: dict[int, float]

    @classmethod
    def of(cls, taken: Taken) -> Self:
        """What was taken away, opened."""
        letters, silent_s = taken
        return cls([pickle.loads(letter) for letter in letters], silent_s)  # noqa: S301 - of our own workers


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
        self.actor.post.remote(pickle.dumps(message))

    def deliver(self, message: Any) -> None:
        """Leaves a message, and returns when it is there: what a worker says last must not be overtaken by its end."""
        ray.get(self.actor.post.remote(pickle.dumps(message)))

    def beat(self, rank: int) -> None:
        """Says that the rank lives; does not wait."""
        self.actor.beat.remote(rank)

    def keep_beating(self, rank: int) -> None:
        """Says from a thread of its own, for as long as the process runs, that the rank does."""

        def run() -> None:
            while True:
                self.beat(rank)
                time.sleep(BEAT_EVERY_S)

        threading.Thread(target=run, name="beat", daemon=True).start()

    def stop_asked(self, start: int) -> bool:
        """Whether all workers of that start are asked to stop."""
        asked: Any = ray.get(self.actor.stop_asked.remote(start))
        return bool(asked)

    def take(self) -> Future[Taken]:
        """Takes the messages away, as soon as the actor answers; for `Post.of`."""
        future: Future[Taken] = self.actor.take.remote().future()
        return future

    def ask_to_stop(self, start: int) -> None:
        """Asks all workers of that start to stop after their present step; those of a later start go on."""
        self.actor.ask_to_stop.remote(start)

    def forget(self) -> None:
        """Empties it for the next start of the workers."""
        self.actor.forget.remote()

    def close(self) -> None:
        """Ends the actor."""
        ray.kill(self.actor)
