"""A search gives way while others wait, and takes its room again afterwards."""

from __future__ import annotations

from training.tuning.share import LOOK_EVERY_S, LOOKS_TO_GROW, LOOKS_TO_SHRINK, Share


class Cluster:
    """A clock and somebody who may wait."""

    def __init__(self) -> None:
        self.time_s, self.waiting = 0.0, False

    def clock(self) -> float:
        return self.time_s

    def look(self, share: Share, times: int) -> int:
        for _ in range(times):
            self.time_s += LOOK_EVERY_S
            share.look(0)
        return share.now


def share_of(cluster: Cluster, slots: int) -> Share:
    return Share(slots, lambda _starting: cluster.waiting, cluster.clock)


def test_a_search_gives_one_slot_after_another_and_keeps_one() -> None:
    cluster = Cluster()
    share = share_of(cluster, 3)
    cluster.waiting = True

    assert cluster.look(share, LOOKS_TO_SHRINK - 1) == 3
    assert cluster.look(share, 1) == 2
    assert cluster.look(share, LOOKS_TO_SHRINK) == 1
    assert cluster.look(share, 10 * LOOKS_TO_SHRINK) == 1


def test_a_search_takes_its_room_again_when_nobody_waits() -> None:
    cluster = Cluster()
    share = share_of(cluster, 2)
    cluster.waiting = True
    cluster.look(share, LOOKS_TO_SHRINK)
    cluster.waiting = False

    assert cluster.look(share, LOOKS_TO_GROW - 1) == 1
    assert cluster.look(share, 1) == 2
    assert cluster.look(share, 5 * LOOKS_TO_GROW) == 2


def test_one_look_that_finds_somebody_changes_nothing() -> None:
    cluster = Cluster()
    share = share_of(cluster, 2)
    for _ in range(20):
        cluster.waiting = not cluster.waiting
        assert cluster.look(share, 1) == 2
