"""Labellers of one pool: who gets which rows, whose word counts, and what a budget pays for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.api.pools import POOLS, ROWS, Pooled, pool_spec, truth


def test_who_holds_every_row_that_waits_leaves_others_without_work_only_until_more_are_chosen(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("shared"))
    held = {item["id"] for item in pool.query("ann", size=100)}
    assert len(held) == 40
    assert pool.query("bob", size=8) == []
    assert pool.run_jobs() == ["query"]
    found = {item["id"] for item in pool.query("bob", size=8)}
    assert len(found) == 8
    assert not found & held


def test_labellers_get_different_rows_and_keep_theirs(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("several"))
    ann, bob = pool.query("ann", size=8), pool.query("bob", size=8)
    assert not {item["id"] for item in ann} & {item["id"] for item in bob}
    assert [item["id"] for item in pool.query("ann", size=8)] == [item["id"] for item in ann]
    answer = pool.label([{"id": ann[0]["id"], "label": "no"}], "bob")
    assert answer.status_code == 409
    assert "was not handed to bob" in answer.json()["detail"]


def test_an_expired_lease_goes_to_another_labeller(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("expired", lease_s=60))
    row = pool.query("ann", size=1)[0]["id"]
    now = api.store.pools._clock
    api.store.pools._clock = lambda: now() + timedelta(seconds=61)

    late = pool.label([{"id": row, "label": "no"}], "ann")

    assert late.status_code == 409
    assert "was over at" in late.json()["detail"]
    assert pool.query("bob", size=1)[0]["id"] == row
    assert pool.label([{"id": row, "label": "no"}], "bob").status_code == 200


def test_skipped_and_unsure_rows_are_kept_and_not_trained_on(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("unsure"))
    one, two = pool.query(size=2)
    pool.label([{"id": one["id"], "verdict": "skip"}, {"id": two["id"], "verdict": "unsure", "label": "yes"}])
    assert pool.get()["counts"]["skipped"] == 2
    assert pool.get()["counts"]["test_by_class"] == {}
    assert [entry["verdict"] for entry in api.get(f"{POOLS}/{pool.id}/labels").json()["items"]] == ["skip", "unsure"]
    assert not {one["id"], two["id"]} & {item["id"] for item in pool.query(size=50)}


def test_disagreement_is_kept_and_a_third_labeller_decides(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("argued", labels_per_row=2))
    row = pool.query("ann", size=1)[0]["id"]
    assert pool.query("bob", size=1)[0]["id"] == row
    pool.label([{"id": row, "label": "no"}], "ann")
    pool.label([{"id": row, "label": "yes"}], "bob")
    assert pool.get()["counts"]["disputed"] == 1
    assert pool.query("cat", size=1)[0]["id"] == row
    pool.label([{"id": row, "label": "yes"}], "cat")
    assert pool.get()["counts"]["test_by_class"] == {"yes": 1}
    assert len(api.get(f"{POOLS}/{pool.id}/labels").json()["items"]) == 3


@pytest.mark.parametrize("answer", [{"verdict": "skip"}, {"verdict": "unsure", "label": "no"}], ids=["skip", "unsure"])
@pytest.mark.parametrize("order", ["ann first", "bob first"])
def test_a_row_that_one_of_two_labellers_leaves_is_decided_by_the_other(
    api: Any, answer: dict[str, Any], order: str
) -> None:
    pool = Pooled.made(api, pool_spec("left", labels_per_row=2))
    row = pool.query("ann", size=1)[0]["id"]
    assert pool.query("bob", size=1)[0]["id"] == row
    said = [("ann", {"label": "yes"}), ("bob", answer)]
    for labeller, words in said if order == "ann first" else reversed(said):
        assert pool.get()["counts"]["test_by_class"] == {}
        pool.label([{"id": row} | words], labeller)
    assert pool.get()["counts"]["test_by_class"] == {"yes": 1}
    assert pool.get()["counts"]["test_queued"] == 19
    assert len(pool.query("cat", size=19)) == 19


def test_no_more_is_handed_out_than_the_budget_pays_for(api: Any) -> None:
    priced = [row | {"price": 1.0 if number % 2 else 4.0} for number, row in enumerate(ROWS)]
    data = {"source": {"type": "inline", "rows": priced}, "cost_column": "price"}
    pool = Pooled.made(api, pool_spec("priced", data=data, budget=30))
    while sum(len(pool.work(3, labeller)) for labeller in ("ann", "bob")):
        held = pool.query("cat", size=2)
        out = pool.get()["counts"]["spent"] + sum(item["cost"] for item in held)
        assert out <= 30
        pool.label([{"id": item["id"], "verdict": "skip"} for item in held], "cat")

    found = pool.get()
    assert (found["status"], 26 < found["counts"]["spent"] <= 30) == ("spent", True)
    assert api.post(f"{POOLS}/{pool.id}/query").json()["reason"].startswith("the budget is spent")


def test_the_last_labels_that_a_budget_pays_for_are_trained_on(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("last", budget=43))
    pool.train_once()
    pool.work(10)
    assert pool.get()["counts"]["spent"] == 43
    assert "train" in pool.run_jobs()
    assert pool.get()["model"]["version"] == "2"


def test_a_budget_ends_the_handing_out(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("budget", budget=25))
    pool.work(20)
    pool.work(5)
    assert pool.query(size=5) == []
    assert pool.get()["status"] == "spent"
    with ThreadPoolExecutor() as threads:  # nobody waits a minute for what will never come
        answer = threads.submit(api.post, f"{POOLS}/{pool.id}/query", params={"wait_s": 60}).result(timeout=40)
    assert answer.json()["reason"] == "the budget is spent"
    assert pool.get()["jobs"].keys() == {"train"}  # the few labels get their model, and nobody waited for it
    assert pool.run_jobs()[0] == "train"
    assert pool.get()["model"]["version"] == "1"


def test_dawid_skene_trusts_who_is_trusty(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("trusted", labels_per_row=3, resolve="dawid_skene", initial_size=10))
    for labeller in ("ann", "bob", "cat"):
        items = pool.query(labeller, size=30)
        said = [truth(item["cells"]) for item in items]
        if labeller == "cat":  # says the opposite of everything
            said = ["no" if label == "yes" else "yes" for label in said]
        labels = [{"id": item["id"], "label": label} for item, label in zip(items, said, strict=True)]
        assert pool.label(labels, labeller).status_code == 200
    assert "train" in pool.run_jobs()
    job = next(job for job in api.get("/api/v1/jobs").json()["items"] if job["kind"] == "train")
    labels = job["spec"]["data"]["source"]["labels"]
    assert all(one["label"] == truth(ROWS[int(one["id"])]) for one in labels)
