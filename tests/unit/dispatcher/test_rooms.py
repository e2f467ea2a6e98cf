"""Placing many demands: the fast way answers as the plain one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ray_app.dispatcher.capacity import Demand, Room, place
from ray_app.dispatcher.rooms import Rooms

ROOMS = st.lists(st.builds(Room, cpus=st.integers(0, 6), gpus=st.integers(0, 2)), max_size=6)
DEMANDS = st.lists(
    st.builds(Demand, cpus=st.integers(1, 4), gpus=st.integers(0, 1), workers=st.integers(1, 3)), max_size=20
)


@given(nodes=ROOMS, demands=DEMANDS)
def test_the_fast_way_places_as_the_plain_one(nodes: list[Room], demands: list[Demand]) -> None:
    plain, fast = list(nodes), Rooms(nodes)
    for demand in demands:
        assert fast.place(demand) == place(plain, demand)
    assert fast.has_a_cpu() == any(room.cpus >= 1 for room in plain)
