"""The bounded pool: refuses rather than queues without end, and frees its places."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ray_app.services.pool import BoundedPool, OverloadedError


def test_a_call_past_the_bound_is_refused_and_a_freed_place_is_used_again() -> None:
    async def scenario() -> None:
        pool = BoundedPool("test", max_threads=1, max_waiting=1)
        gate = threading.Event()
        held = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)  # lets both tasks take their places
        with pytest.raises(OverloadedError) as caught:
            await pool.run(int)
        assert caught.value.retryable
        gate.set()
        assert await asyncio.gather(*held) == [True, True]
        assert await pool.run(int, "7") == 7
        pool.close()

    asyncio.run(scenario())


def test_a_failed_and_a_cancelled_call_free_their_places() -> None:
    async def scenario() -> None:
        pool = BoundedPool("test", max_threads=1, max_waiting=1)
        gate = threading.Event()
        running = asyncio.create_task(pool.run(gate.wait))
        waiting = asyncio.create_task(pool.run(int))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        await running
        for _ in range(3):
            with pytest.raises(ValueError, match="invalid literal"):
                await pool.run(int, "x")
        pool.close()

    asyncio.run(scenario())
