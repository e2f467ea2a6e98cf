"""Who reads jobs from the store itself, and who through the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_app.dispatcher.messages import StoreAddress
from ray_app.dispatcher.near_store import NearStore
from ray_app.jobs.store import JobStore
from training.errors import NotFoundError

NODE = "this node"


@pytest.fixture
def store(sqlite_url: str) -> Iterator[JobStore]:
    with JobStore(sqlite_url) as opened:
        yield opened


class Dispatcher:
    """Says where its store is."""

    def __init__(self, url: str, node_id: str | None = NODE) -> None:
        self.address = StoreAddress(url, node_id)
        self.asked = 0

    async def store_address(self) -> StoreAddress:
        self.asked += 1
        return self.address

    async def name_of(self, near: NearStore, job_id: str) -> str:
        async def there() -> str:
            return "told by the dispatcher"

        return await near.read(lambda store: store.get(job_id).name, there)


@pytest.mark.parametrize("node_id", [NODE, None])
def test_a_store_that_is_near_is_read_there_and_asked_for_once(
    sqlite_url: str, store: JobStore, node_id: str | None
) -> None:
    async def scenario() -> None:
        dispatcher = Dispatcher(sqlite_url, node_id)
        near = NearStore(dispatcher.store_address, NODE)
        for number in range(3):
            job, _ = store.create("train", f"job-{number}", {})
            names = await asyncio.gather(*(dispatcher.name_of(near, job.id) for _ in range(5)))
            assert names == [f"job-{number}"] * 5
        assert dispatcher.asked <= 5
        with pytest.raises(NotFoundError):
            await dispatcher.name_of(near, "job_unknown")

    asyncio.run(scenario())


def test_a_file_on_another_node_and_one_that_cannot_be_opened_are_read_by_the_dispatcher(
    sqlite_url: str, store: JobStore, tmp_path: Path
) -> None:
    (tmp_path / "folder.db").mkdir()

    async def scenario() -> None:
        job, _ = store.create("train", "here", {})
        for dispatcher in (Dispatcher(sqlite_url, "another node"), Dispatcher(f"sqlite:///{tmp_path / 'folder.db'}")):
            near = NearStore(dispatcher.store_address, NODE)
            assert await dispatcher.name_of(near, job.id) == "told by the dispatcher"

    asyncio.run(scenario())


def test_another_dispatcher_may_have_another_store(sqlite_url: str, store: JobStore, tmp_path: Path) -> None:
    async def scenario() -> None:
        dispatcher = Dispatcher(sqlite_url)
        near = NearStore(dispatcher.store_address, NODE)
        job, _ = store.create("train", "first", {})
        assert await dispatcher.name_of(near, job.id) == "first"
        url = f"sqlite:///{tmp_path / 'other.db'}"
        with JobStore(url) as other:
            later, _ = other.create("train", "second", {})
            dispatcher.address = StoreAddress(url, NODE)
            near.forget()
            assert await dispatcher.name_of(near, later.id) == "second"

    asyncio.run(scenario())


def test_the_address_keeps_its_password_to_itself() -> None:
    assert "s3cret" not in repr(StoreAddress("postgresql://u:s3cret@h/d", None))
