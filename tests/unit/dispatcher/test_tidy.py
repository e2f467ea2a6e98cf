"""Cleaning up after a killed process: what killed it may have taken the registry along."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_app.dispatcher import worker
from ray_app.dispatcher.messages import Place
from training.errors import UnavailableError

PLACE = Place((), Path("home"), "sqlite://", "artifacts", Path("checkpoints"))


class RegistryAway:
    def __init__(self, times: int) -> None:
        self.times = times
        self.tidied: list[str] = []

    def tidy(self, job_id: str, name: str, place: Place) -> None:
        if self.times:
            self.times -= 1
            raise UnavailableError("the registry is away")
        self.tidied.append(job_id)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TIDY_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(worker, "be_nice", lambda: None)


def test_a_registry_that_is_away_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = RegistryAway(2)
    monkeypatch.setattr(worker, "load_runner", lambda _path: runner)
    worker.tidy("job_1", "model", PLACE, "runner")
    assert runner.tidied == ["job_1"]


def test_one_that_stays_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "load_runner", lambda _path: RegistryAway(9))
    with pytest.raises(UnavailableError, match="away"):
        worker.tidy("job_1", "model", PLACE, "runner")
