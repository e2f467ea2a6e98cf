"""Waits for a call that takes as long as a fit, and meanwhile listens to the workers and to whoever may cancel."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from ray.exceptions import RayError

from training.distributed.losses import Loss, WorkersLostError
from training.distributed.mailbox import Mailbox
from training.distributed.messages import Failed, Started
from training.errors import FitError
from training.events import Observer
from training.models.fitting import plain_message

logger = logging.getLogger("training")

T = TypeVar("T")
LOOK_EVERY_S = 0.1
ANSWER_TIMEOUT_S = 30.0


@dataclass
class Watch:
    """Listens for one start of the workers.

    Args:
        mailbox: where the workers post.
        observer: hears what is going on, and may cancel.
        hear: hears every message that is about the fit.
        hang_timeout_s: a worker that is silent for so long counts as lost.
        workers: that must be up before the fit begins.
    """

    mailbox: Mailbox
    observer: Observer
    hear: Callable[[Any], None]
    hang_timeout_s: float
    workers: int
    started: dict[int, Started] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)

    def during(self, call: Callable[[], T]) -> T:
        """Runs the call in a thread, until it returns or raises, and answers the same.

        The thread is left to itself where this raises before the call is over: whoever calls this ends the workers, and
        with them the call.

        Raises:
            JobCancelledError: the observer asked for it.
            WorkersLostError: a worker hangs.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        future: Future[T] = pool.submit(contextvars.copy_context().run, call)
        pool.shutdown(wait=False)
        while not future.done():
            self.look()
            wait([future], timeout=LOOK_EVERY_S)
        self.look()
        return future.result()

    def look(self) -> None:
        """Takes what has been posted."""
        try:
            post = self.mailbox.take(ANSWER_TIMEOUT_S)
        except (RayError, TimeoutError) as error:
            raise WorkersLostError(Loss("died", 0, "", 0, f"their mailbox is gone ({type(error).__name__})")) from error
        for message in post.messages:
            match message:
                case Started():
                    self.started[message.rank] = message
                case Failed():
                    self.failed.append(message)
                case _:
                    self.hear(message)
        up = len(self.started)
        self.observer.waiting("" if up >= self.workers else f"{up} of {self.workers} workers have started")
        for rank, silent_s in post.silent_s.items():
            if silent_s > self.hang_timeout_s:
                raise WorkersLostError(self.loss(rank, "hung"))

    def loss(self, rank: int, kind: Any, detail: str = "") -> Loss:
        """What is known of a worker that was lost."""
        known = self.started.get(rank)
        return Loss(kind, rank, known.host if known else "", known.pid if known else 0, detail)

    def raise_failed(self, estimator: str, error: BaseException) -> NoReturn:
        """Raises what a worker's own code raised.

        Raises:
            FitError: with type, message, rank and host; its last lines go to the log.
        """
        for failure in self.failed:
            logger.error("worker %d on %s, last lines:\n%s", failure.rank, failure.host, failure.trace)
        if self.failed:
            first = self.failed[0]
            text = " ".join(first.message.split("Stack trace")[0].split())
            where = f"worker {first.rank} on {first.host}"
            raise FitError(f"{estimator}: {where} raised {first.kind}: {text}") from error
        raise FitError(f"{estimator}: a worker raised {plain_message(error)}") from error
