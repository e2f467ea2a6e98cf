"""The reference at /docs: one page of plain HTML made from the OpenAPI document.

Swagger UI and ReDoc load their scripts from a CDN, which fails where the service runs without internet and hands
that CDN the page of an API that trains models. This page needs no script at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #f4f4f5; padding: .75rem 1rem; border-radius: 6px; overflow-x: auto; }
details { border: 1px solid #d4d4d8; border-radius: 6px; margin: .5rem 0; padding: .5rem 1rem; }
summary { cursor: pointer; } b.method { display: inline-block; min-width: 4rem; color: #0b5394; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
@media (prefers-color-scheme: dark) { body { background: #18181b; color: #e4e4e7; } pre { background: #27272a; }
  details { border-color: #3f3f46; } b.method { color: #7cb7f0; } a { color: #7cb7f0; } }
"""
METHODS = ("get", "post", "put", "patch", "delete")


def render(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    body = "\n".join(_sections(document))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>\n{body}</body></html>'
    )


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    heading = None
    for path, operations in document["paths"].items():
        for method in METHODS:
            operation = operations.get(method)
            if operation is None:
                continue
            tag = operation.get("tags", ["other"])[0]
            if tag != heading:
                heading = tag
                yield f"<h2>{escape(tag)}</h2>"
            yield _operation(method, path, operation)
    yield "<h2>types</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_pre(schema)}</details>'


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<details><summary><b class="method">{method.upper()}</b> <code>{escape(path)}</code></summary>',
        f"<p>{escape(operation.get('description', ''))}</p>",
        _parameters(operation.get("parameters", [])),
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            parts.append(f"<p>Body: {_link(content['schema'])}</p>")
            parts += [
                f"<p>{escape(example['summary'])}:</p>{_pre(example['value'])}"
                for example in content["examples"].values()
            ]
    parts += [_responses(operation["responses"]), "</details>"]
    return "".join(parts)


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{escape(item.get('description', ''))}</td></tr>"
        for item in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _responses(responses: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for status, response in responses.items():
        links = ", ".join(_link(content.get("schema", {})) for content in response.get("content", {}).values())
        rows.append(f"<tr><td>{status}</td><td>{escape(response['description'])}</td><td>{links}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _link(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>' if name else ""


def _pre(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1, ensure_ascii=False))}</pre>"
