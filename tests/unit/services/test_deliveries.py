"""What people do is told even where the dispatcher is away when they do it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from ray_app.jobs.webhooks import WebhookEvent
from ray_app.services.deliveries import WebhookService
from ray_app.settings import Settings
from training.errors import UnavailableError


class Outbox:
    """Takes events, or is away."""

    def __init__(self) -> None:
        self.away = True
        self.tried = asyncio.Event()
        self.got: list[WebhookEvent] = []
        self.taken = asyncio.Event()

    async def publish(self, event: WebhookEvent) -> None:
        self.tried.set()
        if self.away:
            raise UnavailableError("the dispatcher is away")
        self.got.append(event)
        self.taken.set()

    async def deliveries(self, *asked: Any) -> Any:
        raise NotImplementedError

    async def replay(self, delivery_id: str) -> Any:
        raise NotImplementedError


def service(outbox: Outbox, home: Path) -> WebhookService:
    return WebhookService(outbox, Settings(home=home), again_s=0.01)


def test_an_event_waits_for_the_dispatcher(tmp_path: Path) -> None:
    async def play() -> None:
        outbox = Outbox()
        hooks = service(outbox, tmp_path)
        await hooks.announce("version.promoted", "german", "3", by="ann", reason="better")
        outbox.away = False
        await asyncio.wait_for(outbox.taken.wait(), 30)
        hooks.close()
        assert [(one.type, one.version, one.data["by"]) for one in outbox.got] == [("version.promoted", "3", "ann")]

    asyncio.run(play())


def test_an_event_outlives_the_process_that_was_told_of_it(tmp_path: Path) -> None:
    async def first() -> None:
        hooks = service(Outbox(), tmp_path)
        await hooks.announce("version.rolled_back", "german", "2", by="ann", reason="worse")
        await hooks.announce("version.promoted", "german", "3", by="bob", reason="")
        hooks.close()

    async def second() -> Outbox:
        outbox = Outbox()
        outbox.away = False
        hooks = service(outbox, tmp_path)
        hooks.start()
        while len(outbox.got) < 2:
            await asyncio.wait_for(outbox.taken.wait(), 30)
            outbox.taken.clear()
        await hooks._telling
        assert not list((tmp_path / "outbox").iterdir())
        hooks.close()
        return outbox

    asyncio.run(first())
    assert len(list((tmp_path / "outbox").glob("evt_*.json"))) == 2
    assert [event.version for event in asyncio.run(second()).got] == ["2", "3"]
