"""The labelling page, with a policy that lets nothing run but its own script."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from starlette.responses import HTMLResponse

PAGE = Path(__file__).with_name("labelling.html")


@cache
def _content() -> tuple[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    sources = {
        tag: base64.b64encode(hashlib.sha256(_inside(text, tag).encode()).digest()).decode()
        for tag in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{sources['script']}'; style-src 'sha256-{sources['style']}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def labelling_page() -> HTMLResponse:
    """The page; it holds no data, and fetches them with the labeller's key."""
    text, policy = _content()
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


def _inside(text: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    if found is None:
        raise ValueError(f"the page has no {tag}")
    return found[1]
