"""Waits for a call that takes as long as a fit, and meanwhile listens to the workers and to whoever may cancel."""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ray.exceptions import RayError

from training.distributed.losses import Loss, WorkersLostError
from training.distributed.mailbox import Mailbox, Post, Taken
from training.distributed.messages import Failed, Started
from training.errors import FitError
from training.events import Observer
from training.models.fitting import plain_message

logger = logging.getLogger("training")

T = TypeVar("T")
LOOK_EVERY_S = 0.1
ANSWER_TIMEOUT_S = 120.0
"""Of the mailbox, whose process may have to start on a busy machine."""


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
    on_hang: Callable[[Loss], None] | None = None
    """Called for a worker that hangs, in the place of raising WorkersLostError."""
    pending: Callable[[], str] = lambda: ""
    """What the next start of the workers waits for, for people; "" for nothing."""
    started: dict[int, Started] = field(default_factory=dict)
    failed: list[Failed] = field(default_factory=list)
    call: Future[Any] | None = None
    _asked: Future[Taken] | None = None
    _asked_at: float = 0.0

    def during(self, call: Callable[[], T]) -> T:
        """Runs the call in a thread, until it returns or raises, and answers the same.

        The thread is left to itself where this raises before the call is over: whoever calls this ends the workers, and
        with them the call.

        Raises:
            JobCancelledError: the observer asked for it.
            WorkersLostError: a worker hangs.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self.call = future = pool.submit(contextvars.copy_context().run, call)
        pool.shutdown(wait=False)
        while not future.done():
            self.look()
            wait([future], timeout=LOOK_EVERY_S)
        self.last_look()
        return future.result()

    def last_look(self) -> None:
        """Takes all that has been posted until now."""
        if self._asked is not None:
            self.look(thoroughly=True)
        self.look(thoroughly=True)

    def join(self, timeout_s: float) -> None:
        """Waits for the end of a call that was left to itself."""
        if self.call is not None:
            wait([self.call], timeout=timeout_s)

    def look(self, *, thoroughly: bool = False) -> None:
        """Takes what has been posted; `thoroughly` waits for the answer of the mailbox, which may be starting.

        Raises:
            JobCancelledError: the observer asked for it.
            WorkersLostError: a worker hangs, or the mailbox is gone.
        """
        if self._asked is None:
            self._asked, self._asked_at = self.mailbox.take(), time.monotonic()
        try:
            taken = self._asked.result(ANSWER_TIMEOUT_S if thoroughly else LOOK_EVERY_S)
        except TimeoutError:
            if time.monotonic() - self._asked_at > ANSWER_TIMEOUT_S:
                raise WorkersLostError(Loss("hung", 0, "", 0, "their mailbox does not answer")) from None
            self._tell()
            return
        except RayError as error:
            raise WorkersLostError(Loss("died", 0, "", 0, f"their mailbox is gone ({type(error).__name__})")) from error
        self._asked = None
        self._take(Post.of(taken))
        self._tell()

    def _take(self, post: Post) -> None:
        for message in post.messages:
            match message:
                case Started():
                    self.started[message.rank] = message
                case Failed():
                    self.failed.append(message)
                case _:
                    self.hear(message)
        if self.pending():
            # nobody is there who could be silent
            self.started.clear()
            self.mailbox.forget()
            return
        for rank, silent_s in post.silent_s.items():
            if silent_s > self.hang_timeout_s:
                self._hangs(self.loss(rank, "hung"))

    def _tell(self) -> None:
        up = len(self.started)
        starting = "" if up >= self.workers else f"{up} of {self.workers} workers have started"
        self.observer.waiting(self.pending() or starting)

    def _hangs(self, loss: Loss) -> None:
        if self.on_hang is None:
            raise WorkersLostError(loss)
        self.mailbox.forget()
        self.on_hang(loss)

    def loss(self, rank: int, kind: Any, detail: str = "") -> Loss:
        """What is known of a worker that was lost."""
        known = self.started.get(rank)
        return Loss(kind, rank, known.host if known else "", known.pid if known else 0, detail)

    def failure(self, estimator: str, error: BaseException) -> FitError:
        """What a worker's own code raised, with type, message, rank and host; its last lines go to the log."""
        for failed in self.failed:
            logger.error("worker %d on %s, last lines:\n%s", failed.rank, failed.host, failed.trace)
        if not self.failed:
            return FitError(f"{estimator}: a worker raised {type(error).__name__}: {plain_message(error)}")
        first = self.failed[0]
        text = " ".join(first.message.split("Stack trace")[0].split())
        return FitError(f"{estimator}: worker {first.rank} on {first.host} raised {first.kind}: {text}")
