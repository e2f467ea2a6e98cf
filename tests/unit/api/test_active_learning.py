"""The loop over HTTP: rows are handed out, labels come in, a model is trained, better rows are handed out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ray_app.jobs.store import JobStore
from tests.unit.api.pools import POOLS, ROWS, Pooled, pool_spec, truth


def test_the_test_set_comes_first_then_representative_and_random_rows(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("first-rows"))
    assert (pool.get()["status"], pool.get()["rows"]) == ("labelling_test", 160)

    items = pool.query(size=40)

    assert [item["part"] for item in items[:20]] == ["test"] * 20
    assert Counter(item["part"] for item in items) == {"test": 20, "active": 16, "random": 4}
    assert {item["why"]["strategy"] for item in items if item["part"] == "active"} == {"representative"}
    assert len({item["id"] for item in items}) == 40
    assert set(items[0]["cells"]) == {"x", "z", "k", "customer"}


def test_labels_train_a_model_which_chooses_the_next_rows(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("loop"))
    test_ids = {item["id"] for item in pool.work(20)}
    assert pool.run_jobs() == []
    pool.work(20)
    assert pool.run_jobs() == ["train", "query"]

    after = pool.get()
    items = pool.query(size=10)

    assert after["model"] == {"name": "loop", "version": "1"}
    version = api.get("/api/v1/models/loop/versions/1").json()
    assert version["job_id"].startswith("job_")
    active = [item for item in items if item["part"] == "active"]
    assert {item["why"]["strategy"] for item in active} == {"margin"}
    assert all({"entropy", "margin", "nearest_labelled"} <= set(item["why"]) for item in active)
    assert not test_ids & {item["id"] for item in items}


def test_every_batch_retrains_and_evidence_grows(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("evidence", control_share=0.5, initial_size=40))
    pool.train_once()
    for _ in range(3):
        pool.work(10)
        assert pool.run_jobs()[:2] == ["train", "query"]

    found = pool.get()
    evidence = found["evidence"]

    assert found["model"]["version"] == "4"
    assert evidence["metric"] == "roc_auc"
    for arm in ("active", "random"):
        labels = [point["labels"] for point in evidence["curves"][arm]]
        assert labels == sorted(labels)
        assert len(labels) == 4
        assert all(point["low"] <= point["value"] <= point["high"] for point in evidence["curves"][arm])
    assert evidence["labels_saved"]["random_labels"] == evidence["curves"]["random"][-1]["labels"]
    assert evidence["expected_gain"]["labels"] == 10
    assert evidence["reasons"]
    assert "frozen random test set" in evidence["note"]


def test_the_test_set_is_frozen_and_alone_measures(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("frozen"))
    pool.train_once()
    job = next(job for job in api.get("/api/v1/jobs").json()["items"] if job["kind"] == "train")
    assert job["result"]["data"]["test_rows"] == 20
    history = api.get(f"{POOLS}/{pool.id}/labels").json()["items"]
    tested = history[0]
    other = "no" if tested["label"] == "yes" else "yes"

    answer = pool.label([{"id": tested["id"], "label": other}])

    assert answer.status_code == 409
    assert "test row" in answer.json()["errors"][0]["message"]
    assert api.get(f"{POOLS}/{pool.id}/labels").json()["items"] == history


def test_the_same_labels_again_change_nothing(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("idempotent"))
    labels = [{"id": item["id"], "label": truth(item["cells"])} for item in pool.query(size=10)]
    first, second = pool.label(labels).json(), pool.label(labels).json()
    assert (first["stored"], first["unchanged"]) == (10, 0)
    assert (second["stored"], second["unchanged"], second["corrected"]) == (0, 10, 0)
    assert len(api.get(f"{POOLS}/{pool.id}/labels").json()["items"]) == 10


def test_a_correction_keeps_what_was_said_before(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("corrected"))
    row = pool.query(size=1)[0]["id"]
    pool.label([{"id": row, "label": "no"}])
    assert pool.label([{"id": row, "label": "yes"}]).json()["corrected"] == 1
    history = api.get(f"{POOLS}/{pool.id}/labels").json()["items"]
    assert [(one["label"], one["current"]) for one in history] == [("no", False), ("yes", True)]
    assert pool.get()["counts"]["test_by_class"] == {"yes": 1}


def test_nothing_is_lost_when_the_store_is_opened_again(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("restarted"))
    held = pool.query(size=5)
    pool.label([{"id": held[0]["id"], "label": "no"}])
    before = pool.get()
    again = JobStore(api.store._database.engine.url.render_as_string(hide_password=False))
    api.jobs.store = again

    assert pool.get() == before
    assert [item["id"] for item in pool.query(size=4)] == [item["id"] for item in held[1:]]


def test_all_labels_one_class_keeps_querying_and_says_why(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("one-class"))
    for _ in range(8):
        batch = api.post(f"{POOLS}/{pool.id}/query", json={"labeller": "ann", "size": 20}).json()
        if pool.get()["counts"]["by_class"].get("no", 0) >= 20:
            assert "nothing to tell apart" in batch["reason"]
        if not batch["items"]:
            break
        pool.label([{"id": item["id"], "label": "no"} for item in batch["items"]])
        assert set(pool.run_jobs()) <= {"query"}
    found = pool.get()
    assert found["model"] is None
    assert "nothing to tell apart" in found["problem"]
    assert found["counts"]["by_class"] == {"no": 140}


def test_no_group_is_in_training_and_in_the_test_set(api: Any) -> None:
    spec = pool_spec("groups", max_per_group=1, data={"group_column": "customer", "exclude": []})
    pool = Pooled.made(api, spec)
    items = pool.query(size=60)
    customers = {part: [item["cells"]["customer"] for item in items if (item["part"] == "test") == (part == "test")]
                 for part in ("test", "train")}  # fmt: skip
    assert not set(customers["test"]) & set(customers["train"])
    active = [item["cells"]["customer"] for item in items if item["part"] == "active"]
    assert len(set(active)) == len(active)


def test_rows_that_changed_in_the_source_are_not_trained_on(api: Any) -> None:
    path = api.data / "rows.csv"
    lines = ["x,z,k,customer", *(",".join(str(value) for value in row.values()) for row in ROWS)]
    path.write_text("\n".join(lines))
    pool = Pooled.made(api, pool_spec("changing", data={"source": {"type": "file", "uri": str(path)}}))
    pool.work(20)
    trained = pool.work(20)
    changed = next(item["id"] for item in trained)
    lines[int(changed) + 1] = "1.5,2.5,a,c0"
    path.write_text("\n".join(lines))

    pool.run_jobs()

    assert pool.get()["counts"]["changed"] == 1
    job = next(job for job in api.get("/api/v1/jobs").json()["items"] if job["kind"] == "train")
    assert job["result"]["data"]["rows"] == 39


def test_a_pool_of_ids_uses_them(api: Any) -> None:
    rows = [row | {"no": f"R-{index}"} for index, row in enumerate(ROWS)]
    spec = pool_spec("with-ids", data={"source": {"type": "inline", "rows": rows}, "id_column": "no"})
    pool = Pooled.made(api, spec)
    pool.train_once()
    assert all(item["id"].startswith("R-") for item in pool.query(size=5))


def test_a_regression(api: Any) -> None:
    spec = pool_spec("regressed", data={"task": "regression", "classes": []}, control_share=0.3)
    spec["model"] = {"family": "sklearn", "estimator": "ridge"}
    pool = Pooled.made(api, spec)
    for _ in range(3):
        items = pool.query(size=20)
        assert pool.label([{"id": item["id"], "label": item["cells"]["x"] * 2} for item in items]).status_code == 200
        pool.run_jobs()
    found = pool.get()
    assert found["evidence"]["metric"] == "rmse"
    assert {item["why"]["strategy"] for item in pool.query(size=5) if item["part"] == "active"} == {
        "expected_model_change"
    }
    assert pool.label([{"id": pool.query(size=1)[0]["id"], "label": "much"}]).status_code == 422


def test_a_pool_is_made_once_for_a_key(api: Any) -> None:
    first = Pooled.made(api, pool_spec("keyed"), headers={"Idempotency-Key": "k1"})
    again = api.post(POOLS, json=pool_spec("keyed"), headers={"Idempotency-Key": "k1"})
    other = api.post(POOLS, json=pool_spec("keyed", seed=3), headers={"Idempotency-Key": "k1"})
    assert again.json()["id"] == first.id
    assert other.status_code == 409
    assert [pool["id"] for pool in api.get(POOLS).json()["items"]] == [first.id]


BAD_POOLS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no such id column": ({"data": {"id_column": "number"}}, "data.id_column", "no such column"),
    "repeated ids": ({"data": {"id_column": "customer"}}, "data.id_column", "repeated, such as c0"),
    "missing ids": (
        {"data": {"source": {"type": "inline", "rows": [{"i": 1, "x": 1}, {"i": None, "x": 2}]}, "id_column": "i",
                  "exclude": []}},
        "data.id_column", "have no id",
    ),
    "strategy for another task": ({"data": {"task": "regression", "classes": []}, "strategy": "margin"}, "strategy",
                                  "is not for regression"),
    "strategy without members": ({"strategy": "query_by_committee"}, "strategy", "needs a model with members"),
    "cost without a column": ({"strategy": "cost_aware"}, "data.cost_column", "needs a column with costs"),
    "cost that is none": ({"data": {"cost_column": "k"}}, "data.cost_column", "a cost is a positive number"),
    "unknown model parameter": ({"model": {"family": "xgboost", "params": {"depth": 3}}}, "model.params.depth",
                                "no such parameter"),
    "search for an unknown metric": ({"tune": {"metric": "speed"}}, "tune.metric", "no metric of a binary task"),
    "unknown strategy": ({"strategy": "magic"}, "strategy", "input should be"),
    "one class": ({"data": {"classes": ["yes"]}}, "data.classes", "at least two"),
    "more test rows than rows": ({"test_size": 150}, "test_size", "more than the pool's 160 rows"),
    "unknown field": ({"batchsize": 3}, "batchsize", "nearest: batch_size"),
    "shown column that is not there": ({"data": {"show": ["xx"]}}, "data.show", "no such column"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_POOLS)
def test_a_pool_that_cannot_work_is_refused(api: Any, name: str) -> None:
    changes, field, message = BAD_POOLS[name]
    answer = api.post(POOLS, json=pool_spec("bad", **dict(changes)))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert any(error["field"] == field and message in error["message"] for error in problem["errors"]), problem
    assert api.get(POOLS).json()["items"] == []


def test_an_empty_pool_is_refused(api: Any) -> None:
    (api.data / "empty.csv").write_text("x,z,k,customer\n")
    answer = api.post(
        POOLS, json=pool_spec("empty", data={"source": {"type": "file", "uri": str(api.data / "empty.csv")}})
    )
    assert answer.status_code == 422
    assert "no rows" in answer.json()["detail"]


BAD_LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown id": ({"id": "9999", "label": "no"}, "no row with this id"),
    "outside the classes": ({"id": "OWN", "label": "noo"}, "nearest: no"),
    "no label": ({"id": "OWN"}, "a label is missing"),
    "a skipped row with a label": ({"id": "OWN", "label": "no", "verdict": "skip"}, "has no label"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_one_bad_label_and_nothing_is_stored(api: Any, name: str) -> None:
    pool = Pooled.made(api, pool_spec("refused"))
    good, other = (item["id"] for item in pool.query(size=2))
    bad, message = BAD_LABELS[name]
    bad = bad | {"id": other if bad["id"] == "OWN" else bad["id"]}

    answer = pool.label([{"id": good, "label": "no"}, bad])

    assert answer.status_code == 422
    assert message in answer.json()["errors"][0]["message"]
    assert api.get(f"{POOLS}/{pool.id}/labels").json()["items"] == []


def test_an_id_twice_in_a_request_is_refused(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("twice"))
    row = pool.query(size=1)[0]["id"]
    assert pool.label([{"id": row, "label": "no"}, {"id": row, "label": "yes"}]).status_code == 422


def test_an_unknown_pool_is_404(api: Any) -> None:
    for answer in (
        api.get(f"{POOLS}/pool_x"), api.post(f"{POOLS}/pool_x/query"), api.get(f"{POOLS}/pool_x/labels"),
        api.post(f"{POOLS}/pool_x/labels", json={"labels": [{"id": "1", "label": "no"}]}),
    ):  # fmt: skip
        assert answer.status_code == 404


def test_a_failed_query_says_so_and_is_tried_again_when_somebody_asks(api: Any) -> None:
    path = api.data / "gone.csv"
    path.write_text("\n".join(["x,z", *(f"{row['x']},{row['z']}" for row in ROWS)]))
    answer = api.post(POOLS, json=pool_spec("gone", data={"source": {"type": "file", "uri": str(path)}, "exclude": []}))
    text = path.read_text()
    path.unlink()
    pool = Pooled(api, answer.json()["id"])
    pool.run_jobs()
    assert pool.get()["status"] == "blocked"
    assert "no such file" in pool.get()["problem"]
    path.write_text(text)
    pool.query()
    pool.run_jobs()
    assert len(pool.query(size=20)) == 20
