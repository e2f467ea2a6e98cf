"""The labelling page: its policy, and a real headless browser in which a labeller works."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import uvicorn
from browser import Page, browser_page, find_browser

from tests.unit.api.pools import POOLS, ROWS, Pooled, pool_spec, truth

ATTACK = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
KEYS = ("1 to 9", "s to skip", "u before", "z to undo")


class Markup(HTMLParser):
    """What is in the page, as a parser sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [str(value) for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.script += data


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


def test_the_page_has_every_element_that_its_script_asks_for(api: Any) -> None:
    text = api.get(f"{POOLS}/pool_x/page").text
    markup = Markup()
    markup.feed(text)
    asked = set(re.findall(r"""\bat\("([^"]+)"\)""", markup.script))
    assert len(markup.ids) == len(set(markup.ids)), "an id is there twice"
    assert asked
    assert asked <= set(markup.ids)
    assert markup.tags.count("script") == markup.tags.count("style") == 1
    assert not [name for name in markup.attributes if name.startswith("on") or name in {"style", "src", "href"}]
    assert all(keys in text for keys in KEYS)


def test_what_the_script_asks_for_is_answered(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("read-by-page", control_share=0.5))
    pool.train_once()
    pool.work(10)
    pool.run_jobs()
    page = api.get(f"{POOLS}/{pool.id}/page").text
    found = pool.get()
    batch = api.post(f"{POOLS}/{pool.id}/query?wait_s=20", json={"labeller": "ann"}).json()
    item = batch["items"][0]
    answer = pool.label([{"id": item["id"], "label": truth(item["cells"]), "verdict": "label"}]).json()
    curve = found["evidence"]["curves"]["active"][-1]
    answers = {"pool": found, "counts": found["counts"], "evidence": found["evidence"], "batch": batch, "item": item,
               "answer": answer, "last": curve, "one": curve, "gain": found["evidence"]["at_equal_labels"],
               "saved": found["evidence"]["labels_saved"]}  # fmt: skip
    for name, fields in answers.items():
        read = set(re.findall(rf"\b{name}\.(\w+)", page)) - {"ok", "json"}  # of the HTTP response
        assert read, name
        assert read <= set(fields), name
    assert set(found["evidence"]["curves"]) == {"active", "random"}
    called = re.findall(r"""call\("(\w+)", "([^"?]*)""", page)
    paths = api.get("/openapi.json").json()["paths"]
    known = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert set(called) == {("GET", ""), ("POST", "/query"), ("POST", "/labels")}
    assert {(method, f"{POOLS}/{{pool_id}}{path}") for method, path in called} <= known


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
    program = find_browser()
    assert program is not None
    with browser_page(program) as found:
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
def test_what_goes_wrong_is_said(api: Any, address: str, page: Page) -> None:
    pool = Pooled.made(api, pool_spec("said"))
    signed_in(page, address, pool)
    api.jobs.store.pools.answer = refuse
    page.press("1")
    page.until("document.getElementById('message').textContent.includes('the lease is over')")


def refuse(*_: Any, **__: Any) -> None:
    from training.errors import ConflictError

    raise ConflictError("the lease is over", hint="Ask again.")


@pytest.mark.browser
def test_both_arms_are_shown_with_their_intervals(api: Any, address: str, page: Page) -> None:
    pool = Pooled.made(api, pool_spec("both-arms", control_share=0.5, initial_size=40))
    pool.train_once()
    signed_in(page, address, pool)
    arms = pool.get()["evidence"]["curves"]
    rows = page.value("[...document.querySelectorAll('#arms tr')].map(line => line.innerText.split('\\t'))")
    assert [row[0] for row in rows] == ["active", "random"]
    for arm, labels, value, interval in rows:
        last = arms[arm][-1]
        assert (int(labels), value) == (last["labels"], f"{last['value']:.4f}")
        assert interval == f"{last['low']:.4f} to {last['high']:.4f}"
    assert page.value("document.querySelectorAll('#curves polyline').length") == 2
    assert "frozen random test set" in page.text()
    assert page.console == []
