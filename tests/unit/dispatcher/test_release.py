"""Which jobs are handed to the cluster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ray_app.dispatcher.capacity import Demand, Room
from ray_app.dispatcher.release import PATIENCE_S, Candidate, Outstanding, choose, is_full

TWO = [Room(cpus=2)]


def candidates(*cpus: float) -> list[Candidate]:
    return [Candidate(f"job-{index}", Demand(cpus=count)) for index, count in enumerate(cpus)]


def running(*cpus: float) -> list[Outstanding]:
    return [Outstanding(f"out-{index}", Demand(cpus=count), True, 0.0) for index, count in enumerate(cpus)]


def waiting(cpus: float, waited_s: float = 0.0) -> Outstanding:
    return Outstanding("waiting", Demand(cpus=cpus), False, waited_s)


def test_what_fits_and_a_few_more() -> None:
    assert choose(candidates(1, 1, 1, 1, 1), [], TWO, ahead=2) == ["job-0", "job-1", "job-2", "job-3"]
    assert choose(candidates(1, 1, 1), running(1), TWO, ahead=1) == ["job-0", "job-1"]


def test_jobs_that_wait_already_are_counted() -> None:
    assert choose(candidates(1, 1), [*running(2), waiting(1)], TWO, ahead=2) == ["job-0"]
    assert choose(candidates(1), [*running(2), waiting(1), waiting(1)], TWO, ahead=2) == []


def test_a_small_job_passes_a_large_one_until_that_one_has_waited_long() -> None:
    large_first = candidates(2, 1)
    assert choose(large_first, running(1), TWO, ahead=1) == ["job-0", "job-1"]
    assert choose(candidates(1), [*running(1), waiting(2, PATIENCE_S - 1)], TWO, ahead=1) == ["job-0"]
    assert choose(candidates(1), [*running(1), waiting(2, PATIENCE_S + 1)], TWO, ahead=1) == []


def test_a_job_for_a_node_still_to_come_holds_up_nobody() -> None:
    assert choose(candidates(1), [waiting(16, PATIENCE_S + 1)], TWO, ahead=1) == ["job-0"]
    assert choose(candidates(16, 1), [waiting(16), waiting(16)], TWO, ahead=2) == ["job-1"]


def test_a_job_needs_its_cpus_on_one_node() -> None:
    assert choose(candidates(3), [], [Room(cpus=2), Room(cpus=2)], ahead=0) == []
    assert choose(candidates(2, 2), [], [Room(cpus=2), Room(cpus=2)], ahead=0) == ["job-0", "job-1"]


cpu_counts = st.lists(st.integers(1, 4), max_size=6)


@given(cpu_counts, cpu_counts, st.lists(st.integers(1, 8), min_size=1, max_size=3), st.integers(0, 3))
def test_all_but_a_few_fit(pending: list[int], out: list[int], nodes: list[int], ahead: int) -> None:
    rooms = [Room(cpus=count) for count in nodes]
    chosen = choose(candidates(*pending), running(*out), rooms, ahead=ahead)
    demands = sorted(pending[int(job_id.removeprefix("job-"))] for job_id in chosen)
    assert sum(demands[: max(0, len(demands) - ahead)]) <= sum(nodes)
    if is_full(running(*out), rooms, ahead=ahead):
        assert chosen == []


def test_a_fit_with_several_workers_takes_room_for_all_of_them() -> None:
    gang = Outstanding("gang", Demand(cpus=1, workers=2, spread=True), started=True, waited_s=0)
    assert choose([Candidate("small", Demand(cpus=1))], [gang], [Room(cpus=2)], ahead=0) == []
    assert choose([Candidate("small", Demand(cpus=1))], [gang], [Room(cpus=3)], ahead=0) == ["small"]


def test_a_fit_that_waits_long_for_its_workers_is_not_overtaken() -> None:
    gang = Outstanding("gang", Demand(cpus=1, workers=2, spread=True), started=False, waited_s=PATIENCE_S + 1)
    small = Outstanding("running", Demand(cpus=1), started=True, waited_s=0)
    assert choose([Candidate("next", Demand(cpus=1))], [gang, small], [Room(cpus=2)], ahead=4) == []
