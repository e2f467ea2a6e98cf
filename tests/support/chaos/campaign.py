"""A seeded series of faults under a stream of jobs."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from whole_service import WholeService

from chaos.faults import FAULTS, Breaker, possible
from chaos.patient import Reader
from chaos.postgres import Postgres
from chaos.promises import FINAL, Promises
from chaos.stream import Stream

OVER_LIMIT_S = 900.0
"""For all jobs to be over: on a machine that others use, training comes last."""


@dataclass(frozen=True)
class Step:
    """One fault and what became of it."""

    number: int
    fault: str
    did: str
    ready_s: float
    """From the end of the fault until the service could take work."""
    over_s: float
    """Until all jobs that were accepted were over."""
    accepted: int
    """Jobs so far."""
    broken: list[str] = field(default_factory=list)


class Campaign:
    """Runs faults one after the other, each at a random moment under the stream, and checks every promise after each.

    Args:
        whole: the service; nobody else may use it.
        seed: draws the faults, the moments and the jobs.
        only: names of faults; all by default.
        postgres: the server that has the service's databases, where it is not SQLite.
    """

    def __init__(
        self, whole: WholeService, seed: int, only: Collection[str] = (), postgres: Postgres | None = None
    ) -> None:
        self._random = random.Random(seed)
        self._reader = Reader(whole)
        self._breaker = Breaker(whole, seed, postgres)
        self._promises = Promises(self._reader, whole.home)
        self._promises.others |= {job["id"] for job in self._reader.pages("/api/v1/jobs")}
        self.stream = Stream(f"http://127.0.0.1:{whole.port}", seed)
        here = possible(whole.home, postgres)
        self.faults = {name: FAULTS[name] for name in FAULTS if name in here and (not only or name in only)}

    def run(self, faults: int) -> Iterator[Step]:
        """The steps, as they are done."""
        with closing(self.stream):
            self.stream.train(name="chaos-base")
            self._until_over()
            for number, name in enumerate(self._drawn(faults), start=1):
                yield self._step(number, name)

    def _drawn(self, faults: int) -> list[str]:
        """All kinds once, then by weight, in random order: a short series has each kind that it has room for."""
        names = list(self.faults)
        self._random.shuffle(names)
        weights = [self.faults[name][0] for name in names]
        more = self._random.choices(names, weights, k=max(0, faults - len(names)))
        drawn = [*names, *more][:faults]
        self._random.shuffle(drawn)
        return drawn

    def _step(self, number: int, name: str) -> Step:
        self.stream.start()
        time.sleep(self._random.uniform(0.5, 3.0))
        did = self.faults[name][1](self._breaker)
        # the stream goes on while the service is down, so that callers meet it then
        time.sleep(self._random.uniform(0.5, 2.0))
        ready_s = self._reader.ready()
        self.stream.stop()
        over_s = self._until_over()
        broken = [*self._promises.broken(self.stream.accepted), *self.stream.wrong]
        self.stream.wrong.clear()
        return Step(number, name, did, round(ready_s, 1), round(over_s, 1), len(self.stream.accepted), broken)

    def _until_over(self) -> float:
        started = time.monotonic()
        waiting = set(self.stream.accepted) - self._promises.jobs.keys()
        while waiting and time.monotonic() - started < OVER_LIMIT_S:
            job_id = next(iter(waiting))
            job = self._reader.get(f"/api/v1/jobs/{job_id}", wait_s=10)
            if job["status"] in FINAL:
                waiting.remove(job_id)
        return time.monotonic() - started
