"""Tasks to Label Studio, annotations from it, and its webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.unit.api.pools import POOLS, Pooled, pool_spec, truth

SECRET = "a-secret"


def annotation(label: str, who: Any = "ann@example.org") -> dict[str, Any]:
    return {
        "completed_by": {"email": who},
        "result": [{"from_name": "label", "to_name": "c_x", "type": "choices", "value": {"choices": [label]}}],
    }


def tasks_of(api: Any, pool: Pooled) -> list[dict[str, Any]]:
    answer = api.get(f"{POOLS}/{pool.id}/label-studio")
    assert answer.status_code == 200
    return list(answer.json())


def test_tasks_go_out_and_annotations_come_in(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("studio"))
    tasks = tasks_of(api, pool)
    assert len(tasks) == 40
    assert set(tasks[0]["data"]) == {"mts_row_id", "mts_pool_id", "c_x", "c_z", "c_k", "c_customer"}
    for task in tasks:
        row = {name: float(task["data"][f"c_{name}"]) for name in ("x", "z")}
        task["annotations"] = [annotation(truth(row))]
    tasks[0]["annotations"] = [{"completed_by": 7, "was_cancelled": True, "result": []}]

    first = api.post(f"{POOLS}/{pool.id}/label-studio", json=tasks)
    again = api.post(f"{POOLS}/{pool.id}/label-studio", json=tasks)

    assert first.json()["stored"] == 40, first.text
    assert again.json()["unchanged"] == 40
    assert pool.get()["counts"]["by_labeller"] == {"label-studio:ann@example.org": 39, "label-studio:7": 1}
    assert pool.get()["counts"]["skipped"] == 1
    assert tasks_of(api, pool) == []


def test_the_interface_is_xml_whatever_the_columns_are_called(api: Any) -> None:
    rows = [{'a "b" <c>': index, "x": index % 7} for index in range(100)]
    spec = pool_spec(
        "xml", data={"source": {"type": "inline", "rows": rows}, "classes": ["<no>", "yes"], "exclude": []}
    )
    pool = Pooled.made(api, spec)
    tree = ET.fromstring(api.get(f"{POOLS}/{pool.id}/label-studio/config").text)  # noqa: S314
    assert [choice.get("value") for choice in tree.iter("Choice")] == ["<no>", "yes"]
    names = {text.get("value", "").removeprefix("$") for text in tree.iter("Text")}
    assert names <= set(tasks_of(api, pool)[0]["data"])


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], int]] = {
    "no list": (lambda task: {"a": 1}, 400),
    "no row": (lambda task: [{"data": {}}], 400),
    "no result": (lambda task: [task | {"annotations": [{"result": []}]}], 400),
    "two choices": (
        lambda task: [task | {"annotations": [{"result": [
            {"from_name": "label", "value": {"choices": ["no", "yes"]}}]}]}], 400,
    ),
    "another class": (lambda task: [task | {"annotations": [annotation("maybe")]}], 422),
    "another row": (lambda task: [{"data": {"mts_row_id": "9999"}, "annotations": [annotation("no")]}], 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_export_is_refused_whole(api: Any, name: str) -> None:
    pool = Pooled.made(api, pool_spec("studio-bad"))
    good, bad = tasks_of(api, pool)[:2]
    make, status = BAD[name]
    made = make(bad)
    tasks = [good | {"annotations": [annotation("no", "bob")]}, *made] if isinstance(made, list) else made
    assert api.post(f"{POOLS}/{pool.id}/label-studio", json=tasks).status_code == status
    assert api.get(f"{POOLS}/{pool.id}/labels").json()["items"] == []


def signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def event(api: Any, pool: Pooled, action: str = "ANNOTATION_CREATED") -> bytes:
    task = tasks_of(api, pool)[0]
    return json.dumps({"action": action, "task": task, "annotation": annotation("yes")}).encode()


def test_a_signed_event_is_a_label(make_api: Callable[..., Any]) -> None:
    api = make_api(label_studio_secret=SECRET)
    pool = Pooled.made(api, pool_spec("hooked"))
    path, body = f"{POOLS}/{pool.id}/label-studio/webhook", event(api, pool)
    assert api.post(path, content=body, headers=signature(body)).json()["stored"] == 1
    assert api.post(path, content=body, headers={"X-Webhook-Token": SECRET}).json()["unchanged"] == 1
    other = event(api, pool, "PROJECT_UPDATED")
    assert api.post(path, content=other, headers=signature(other)).status_code == 204
    broken = b'{"action": "ANNOTATION_CREATED"}'
    assert api.post(path, content=broken, headers=signature(broken)).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Signature-256": "sha256=00"}, {"X-Webhook-Token": "another"}, signature(b"another body"),
     {"X-Webhook-Token": SECRET, "X-Signature-256": "sha256=00"}],
)  # fmt: skip
def test_an_event_without_the_secret_is_401_and_stores_nothing(
    make_api: Callable[..., Any], headers: dict[str, str]
) -> None:
    api = make_api(label_studio_secret=SECRET)
    pool = Pooled.made(api, pool_spec("unhooked"))
    answer = api.post(f"{POOLS}/{pool.id}/label-studio/webhook", content=event(api, pool), headers=headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert api.get(f"{POOLS}/{pool.id}/labels").json()["items"] == []


def test_without_a_secret_no_event_is_taken(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("no-secret"))
    body = event(api, pool)
    assert (
        api.post(f"{POOLS}/{pool.id}/label-studio/webhook", content=body, headers=signature(body, "")).status_code
        == 401
    )
