"""A real headless Chromium, driven over its own protocol: no driver program, no further package."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT_S = 60.0


def find_browser() -> str | None:
    """The program, where the machine has one: `apt-get install chromium`."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.console: list[str] = []
        """Errors, refusals of the content security policy, and dialogs, as the browser tells them."""
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=LIMIT_S))
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])
            if message.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"}:
                self.console.append(json.dumps(message["params"]))

    def open(self, url: str) -> None:
        """Goes there."""
        self.do("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What the expression is, in the page."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until the expression is true; nothing tells when a page is done with what it does."""
        deadline = time.monotonic() + LIMIT_S
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"{expression} did not come true; {self.text()}"
            time.sleep(0.02)
        return found

    def text(self) -> str:
        """What a person reads."""
        return str(self.value("document.body.innerText"))

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self.do("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        named = {"Enter": {"windowsVirtualKeyCode": 13, "text": "\r"}}.get(key, {"text": key})
        self.do("Input.dispatchKeyEvent", type="keyDown", key=key, **named)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key)


@contextmanager
def browser_page(program: str) -> Iterator[Page]:
    """A browser with one empty tab, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="mts-browser-", ignore_cleanup_errors=True) as folder:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]  # fmt: skip
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            address = Path(folder) / "DevToolsActivePort"
            deadline = time.monotonic() + LIMIT_S
            while not (address.exists() and address.read_text().strip()):
                assert process.poll() is None, "the browser did not start"
                assert time.monotonic() < deadline, "the browser is not ready"
                time.sleep(0.05)
            port = address.read_text().splitlines()[0]
            targets = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
            tab = next(target for target in targets if target["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            process.wait(30)
