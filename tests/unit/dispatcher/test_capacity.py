"""What fits, and how it is said that something does not."""

from __future__ import annotations

import pytest

from ray_app.dispatcher.capacity import MIB, Capacity, Demand, Room, check_schedulable, place
from training.errors import ResourceError

NODES = (Room(cpus=4, memory_bytes=1000 * MIB), Room(cpus=8, gpus=1, memory_bytes=500 * MIB))


@pytest.mark.parametrize(
    ("demand", "types", "field", "message"),
    [
        (
            Demand(cpus=64),
            (Room(cpus=16), Room(cpus=12)),
            "resources.cpus_per_worker",
            "asks for 64 CPUs on one node; the largest node has 8 and the autoscaler's largest type 16",
        ),
        (Demand(cpus=9), (), "resources.cpus_per_worker", "asks for 9 CPUs on one node; the largest node has 8"),
        (Demand(gpus=2), (), "resources.gpus_per_worker", "asks for 2 GPUs on one node; the largest node has 1"),
        (
            Demand(memory_bytes=2000 * MIB),
            (),
            "resources.memory_mb",
            "asks for 2000 MB of memory on one node; the largest node has 1000",
        ),
        (
            Demand(cpus=8, memory_bytes=1000 * MIB),
            (),
            "resources.cpus_per_worker",
            "asks for 8 CPUs and 1000 MB of memory on one node; no node has them together",
        ),
    ],
)
def test_what_never_fits_is_refused_with_the_numbers(
    demand: Demand, types: tuple[Room, ...], field: str, message: str
) -> None:
    with pytest.raises(ResourceError) as refused:
        check_schedulable(Capacity(NODES, NODES, types), demand)
    assert refused.value.message == f"{field}: {message}"
    assert refused.value.problems[0].field == field
    assert refused.value.hint


@pytest.mark.parametrize(
    ("nodes", "types"),
    [(NODES, ()), ((Room(cpus=1),), (Room(cpus=8),)), ((), ()), ((Room(cpus=1),), None)],
    ids=["node", "type", "no node known yet", "unknown autoscaler"],
)
def test_what_may_fit_is_let_in(nodes: tuple[Room, ...], types: tuple[Room, ...] | None) -> None:
    check_schedulable(Capacity(nodes, nodes, types), Demand(cpus=8))


def test_why_a_job_waits() -> None:
    capacity = Capacity(NODES, (Room(cpus=2), Room(cpus=0)))
    assert capacity.why_waiting(Demand(cpus=4)) == "waiting for 4 CPUs; 2 of 12 CPUs free"
    assert capacity.why_waiting(Demand(gpus=1)) == "waiting for 1 CPU and 1 GPU; 2 of 12 CPUs free, 0 of 1 GPUs free"
    # the cluster has shrunk since the job came in
    assert capacity.why_waiting(Demand(cpus=9)) == (
        "waiting for a larger node: the job asks for 9 CPUs on one node; the largest node has 8"
    )


def test_the_demand_of_a_spec() -> None:
    resources = {"cpus_per_worker": 2, "gpus_per_worker": 1, "memory_mb": 100}
    assert Demand.of("train", {"resources": resources}) == Demand(2, 1, 100 * MIB)
    spread = Demand.of("train", {"resources": {"num_workers": 3}})
    assert (spread.workers, spread.spread) == (3, True)
    # it starts with the fewer, and its own process asks for nothing
    elastic = Demand.of("train", {"resources": {"num_workers": [1, 8]}})
    assert (elastic.workers, elastic.spread) == (1, True)
    assert Demand.of("train", {}) == Demand.of("evaluate", {"resources": resources}) == Demand(1, 0, 0)


def test_workers_that_share_a_fit_need_room_for_all_of_them() -> None:
    nodes = (Room(cpus=4), Room(cpus=3))
    check_schedulable(Capacity(nodes, nodes), Demand(cpus=2, workers=3))
    with pytest.raises(ResourceError) as refused:
        check_schedulable(Capacity(nodes, nodes), Demand(cpus=2, workers=4))
    assert refused.value.message == (
        "resources.num_workers: asks for 4 workers with 2 CPUs each; the cluster has room for 3"
    )
    assert refused.value.problems[0].value == 4
    # an autoscaler can start the nodes that are missing
    check_schedulable(Capacity(nodes, nodes, (Room(cpus=2),)), Demand(cpus=2, workers=40))
    with pytest.raises(ResourceError, match=r"gpus_per_worker: asks for 1 GPU on one node; the largest node has 0"):
        check_schedulable(Capacity(nodes, nodes), Demand(gpus=1, workers=2))


def test_placing_is_all_or_nothing() -> None:
    rooms = [Room(cpus=3), Room(cpus=1)]
    assert not place(rooms, Demand(cpus=2, workers=2))
    assert rooms == [Room(cpus=3), Room(cpus=1)]
    assert place(rooms, Demand(workers=4))
    assert rooms == [Room(cpus=0), Room(cpus=0)]
