"""The labelling page: its policy, and a real headless browser in which a labeller works."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from browser import Page, browser_page, find_browser

from tests.unit.api.pools import POOLS, ROWS, Pooled, pool_spec

ATTACK = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
BROWSER = find_browser()
in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")


def test_the_policy_lets_only_the_page_s_own_script_run(api: Any) -> None:
    answer = api.get(f"{POOLS}/pool_x/page")
    policy = answer.headers["content-security-policy"]
    script = re.search("<script>(.*?)</script>", answer.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "innerHTML" not in script
    assert not re.search(r"""(src|href)=["']?http|@import|url\(""", answer.text)


@pytest.fixture
def address(api: Any) -> Iterator[str]:
    """The application on a real port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(api.app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    assert BROWSER is not None
    with browser_page(BROWSER) as found:
        yield found


def signed_in(page: Page, address: str, pool: Pooled) -> None:
    page.console.clear()
    page.open(f"{address}{POOLS}/{pool.id}/page")
    page.value("document.getElementById('labeller').focus()")
    page.type("ann")
    page.press("Enter")
    page.until("!document.getElementById('row').hidden")


def shown_id(page: Page) -> str:
    return str(page.value("document.getElementById('row-id').textContent")).removeprefix("Row ")


def press_and_wait(page: Page, key: str) -> None:
    before = shown_id(page)
    page.press(key)
    page.until(f"document.getElementById('row-id').textContent !== 'Row {before}'")


@in_browser
def test_a_labeller_works_with_the_keyboard_alone(api: Any, address: str, page: Page) -> None:
    pool = Pooled.made(api, pool_spec("by-keys"))
    signed_in(page, address, pool)
    assert "test set: 0 of 20" in page.text()

    rows = []
    for key in ("1", "2", "s"):
        rows.append(shown_id(page))
        press_and_wait(page, key)
    page.press("u")
    rows.append(shown_id(page))
    press_and_wait(page, "2")

    history = api.get(f"{POOLS}/{pool.id}/labels").json()["items"]
    assert [(one["id"], one["verdict"], one["label"], one["labeller"]) for one in history] == [
        (rows[0], "label", "no", "ann"), (rows[1], "label", "yes", "ann"), (rows[2], "skip", None, "ann"),
        (rows[3], "unsure", "yes", "ann"),
    ]  # fmt: skip
    assert "test set: 2 of 20" in page.text()
    assert page.console == []


@in_browser
def test_undo_brings_the_row_back_and_the_new_answer_corrects_the_old(api: Any, address: str, page: Page) -> None:
    pool = Pooled.made(api, pool_spec("undone"))
    signed_in(page, address, pool)
    row = shown_id(page)
    press_and_wait(page, "1")
    press_and_wait(page, "z")
    assert shown_id(page) == row
    press_and_wait(page, "2")
    history = api.get(f"{POOLS}/{pool.id}/labels").json()["items"]
    assert [(one["id"], one["label"], one["current"]) for one in history] == [(row, "no", False), (row, "yes", True)]


@in_browser
def test_malicious_cells_are_shown_and_never_run(api: Any, address: str, page: Page) -> None:
    rows = [row | {"k": f"{ATTACK}{index % 3}", ATTACK: index % 5} for index, row in enumerate(ROWS)]
    spec = pool_spec("malicious", data={"source": {"type": "inline", "rows": rows}, "classes": ["no", ATTACK]})
    pool = Pooled.made(api, spec)
    signed_in(page, address, pool)
    assert ATTACK in page.text()
    assert page.value("window.hacked === undefined")
    assert page.value("document.querySelectorAll('img').length") == 0
    assert page.value("document.querySelectorAll('script').length") == 1
    press_and_wait(page, "2")
    assert page.value("window.hacked === undefined")
    assert page.console == []


@in_browser
def test_what_goes_wrong_is_said(api: Any, address: str, page: Page) -> None:
    pool = Pooled.made(api, pool_spec("said"))
    signed_in(page, address, pool)
    api.jobs.store.pools.answer = refuse
    page.press("1")
    page.until("document.getElementById('message').textContent.includes('the lease is over')")


def refuse(*_: Any, **__: Any) -> None:
    from training.errors import ConflictError

    raise ConflictError("the lease is over", hint="Ask again.")
