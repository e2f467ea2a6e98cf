"""Streams: the form of server-sent events, and errors that come before the first byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from ray_app.jobs.model import JobEvent

T = TypeVar("T")


async def as_events(events: AsyncIterator[JobEvent | None]) -> AsyncIterator[str]:
    """Events as server-sent events; None becomes a comment, which keeps the connection open."""
    async for event in events:
        if event is None:
            yield ": still there\n\n"
        else:
            yield f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json(include={'time', 'data'})}\n\n"


async def resumed(first: T, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The items again, once `first` was awaited: so an unknown job becomes a 404 and not a broken stream."""
    yield first
    async for item in items:
        yield item
