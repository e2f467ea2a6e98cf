"""Tells the observer how far the training of several networks is, and keeps it to its deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping

from training.models.base import FitContext
from training.models.fitting import REPORTS_PER_S


class FitClock:
    """The time of a whole fit, over all of its networks."""

    def __init__(self, context: FitContext, num_networks: int) -> None:
        self._observer = context.observer
        self._on_step = context.on_step
        self._deadline = context.deadline
        self._num_networks = num_networks
        self._started = time.monotonic()
        self._next = 0.0
        self._epochs = 0
        self._finished = 0
        self._fraction = 0.0
        self._pending: tuple[int, dict[str, float]] | None = None

    def network(self) -> NetworkProgress:
        """The progress of the network that is to be trained now; what is left of the time is shared equally."""
        if self._deadline is None:
            return NetworkProgress(self, None)
        now = time.monotonic()
        return NetworkProgress(self, now + (self._deadline - now) / (self._num_networks - self._finished))

    def network_is_done(self) -> None:
        """Turns to the next network."""
        self._finished += 1

    def skip(self, epochs: int) -> None:
        """So many epochs were done before this process began."""
        self._epochs += epochs

    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def report(self, done: float, metrics: Mapping[str, float] | None = None) -> None:
        """Notes what share of the present network is done, and the metrics of an epoch; tells them at times.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        if metrics:
            self._epochs += 1
            self._pending = (self._epochs, dict(metrics))
            if self._on_step is not None:
                self._on_step(self._epochs, metrics)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0 / REPORTS_PER_S
            self._flush()
            # a network that starts again after it diverged takes nothing back
            self._fraction = max(self._fraction, (self._finished + done) / self._num_networks)
            rest = (1.0 - self._fraction) / self._fraction if self._fraction else None
            self._observer.progress(self._fraction, None if rest is None else rest * (now - self._started))

    def finish(self) -> None:
        """Tells what is still to tell, and that the fit is complete."""
        self._flush()
        self._observer.progress(1.0, 0.0)

    def _flush(self) -> None:
        if self._pending:
            step, metrics = self._pending
            self._pending = None
            self._observer.metrics(metrics, step)


class NetworkProgress:
    """The progress of one network."""

    def __init__(self, clock: FitClock, deadline: float | None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._started = time.monotonic()
        self._skipped = 0

    def skip(self, epochs: int) -> None:
        """So many epochs were done before this process began."""
        self._skipped = epochs
        self._clock.skip(epochs)

    def is_late(self, done: float) -> bool:
        """Notes what share of this network's training is done; whether its time is up.

        Raises:
            JobCancelledError: somebody asked the job to stop.
        """
        self._clock.report(done)
        return self._deadline is not None and time.monotonic() >= self._deadline

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> int:
        """Notes the end of an epoch, counted from 1. Returns how many epochs there is time for: fewer than `epochs`
        where they would not end before the deadline, so that the schedule of the learning rate still runs to its end.
        """
        self._clock.report(epoch / epochs, metrics)
        if self._deadline is None:
            return epochs
        now = time.monotonic()
        epoch_s = (now - self._started) / (epoch - self._skipped)
        return min(epochs, epoch + max(0, int((self._deadline - now) / epoch_s)))
