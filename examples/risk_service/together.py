"""Requests that come at the same time are scored by one call: most of a call's cost does not depend on its rows.

As many requests as wait in the sockets when the last call ends make the next one, so that a busy service answers more
requests a second than an idle one could, and nobody waits for company. `serve.batch` would do as well inside a
replica, but not under a test's client.

A call keeps the event loop from all else. A request and its answer take some turns of the loop on their way, and each
of these would wait for a call; so a call waits until those that are under way have come through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from examples.risk_service.champion import Asked, Champion

MAX_ROWS = 2_000
"""Scored by one call, with those of the reasons; a request with more is scored alone."""

TURNS = 16
"""Of the event loop before a call, for what is on its way; an idle loop makes them in less than a millisecond."""

Answers = list[dict[str, Any]]


class _Waiting(NamedTuple):
    champion: Champion
    asked: Asked
    answer: asyncio.Future[Answers]


class Together:
    """Requests of one event loop are scored together, those of another apart."""

    def __init__(self) -> None:
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting]] = WeakKeyDictionary()

    async def answers(self, champion: Champion, asked: Asked) -> Answers:
        """Those of `champion`, which stays the same whatever takes over meanwhile.

        Raises:
            ValueError: the model cannot take these values.
        """
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(loop, [])
        if not waiting:
            loop.call_soon(_turn, loop, waiting, TURNS)
        answer: asyncio.Future[Answers] = loop.create_future()
        waiting.append(_Waiting(champion, asked, answer))
        return await answer


def _turn(loop: asyncio.AbstractEventLoop, waiting: list[_Waiting], left: int) -> None:
    if left:
        loop.call_soon(_turn, loop, waiting, left - 1)
        return
    taken = waiting.copy()
    waiting.clear()
    for _, of_one in groupby(taken, key=lambda one: id(one.champion)):
        for some in _chunks(list(of_one)):
            _answer(some)


def _chunks(waiting: Sequence[_Waiting]) -> Iterator[list[_Waiting]]:
    some: list[_Waiting] = []
    rows = 0
    for one in waiting:
        rows += one.asked.scored_rows
        if some and rows > MAX_ROWS:
            yield some
            some, rows = [], one.asked.scored_rows
        some.append(one)
    yield some


def _answer(waiting: Sequence[_Waiting]) -> None:
    try:
        found = waiting[0].champion.answers([one.asked for one in waiting])
    except Exception as error:  # noqa: BLE001 - goes to the one who asked for it
        if len(waiting) == 1:
            if not waiting[0].answer.cancelled():
                waiting[0].answer.set_exception(error)
            return
        for one in waiting:  # whose values they are shows when each is scored alone
            _answer([one])
        return
    for one, answers in zip(waiting, found, strict=True):
        if not one.answer.cancelled():
            one.answer.set_result(answers)
