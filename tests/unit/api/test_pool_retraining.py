"""When a pool trains again, and what labels say beside the label."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.api.pools import POOLS, Pooled, pool_spec, truth


def test_trainings_become_rare_where_little_is_expected_of_them(api: Any) -> None:
    spec = pool_spec("rarely", control_share=0.5, initial_size=40, batch_size=5, retrain_gain=1.0)
    pool = Pooled.made(api, spec)
    pool.train_once()
    for _ in range(2):
        pool.work(5)
        assert pool.run_jobs() == ["train", "query"], "no curve tells anything yet"
    assert pool.get()["evidence"]["expected_gain"] is not None
    for _ in range(9):
        assert len(pool.work(5)) == 5
        assert "train" not in pool.run_jobs()
    pool.work(5)
    assert pool.run_jobs()[0] == "train", "ten times as many labels"
    assert pool.get()["model"]["version"] == "4"


def test_a_label_has_the_time_at_which_it_was_said(api: Any) -> None:
    pool = Pooled.made(api, pool_spec("timed"))
    first, second = pool.query(size=2)
    said = datetime(2026, 3, 1, 12, tzinfo=UTC)
    pool.label([
        {"id": first["id"], "label": "no", "time": "2026-03-01T13:00:00+01:00"}, {"id": second["id"], "label": "no"}
    ])  # fmt: skip
    times = [datetime.fromisoformat(one["created_at"]) for one in api.get(f"{POOLS}/{pool.id}/labels").json()["items"]]
    assert times[0] == said
    assert times[1] > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize("time", ["2999-01-01T00:00:00Z", "1066-10-14T09:00:00Z", "2026-03-01T13:00:00", "noon"])
def test_a_label_of_no_possible_time_is_refused(api: Any, time: str) -> None:
    pool = Pooled.made(api, pool_spec("untimely"))
    answer = pool.label([{"id": pool.query(size=1)[0]["id"], "label": "no", "time": time}])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "labels.0.time"
    assert api.get(f"{POOLS}/{pool.id}/labels").json()["items"] == []


def test_a_row_that_changed_is_asked_again_with_what_it_holds_now(api: Any) -> None:
    rows = ["x,z,k", *(f"{index % 17},{index * 7 % 31},{'abc'[index % 3]}" for index in range(60))]
    path = api.data / "moving.csv"
    path.write_text("\n".join(rows))
    source = {"type": "file", "uri": str(path)}
    spec = pool_spec("moving", data={"source": source, "exclude": []}, batch_size=40)
    pool = Pooled.made(api, spec)
    pool.work(20)
    changed = next(item["id"] for item in pool.work(20))
    rows[int(changed) + 1] = "999,2,a"
    path.write_text("\n".join(rows))
    pool.run_jobs()

    asked = next(item for item in pool.query(size=60) if item["id"] == changed)

    assert asked["cells"]["x"] == 999
    assert pool.label([{"id": changed, "label": truth(asked["cells"])}]).status_code == 200
    history = [one for one in api.get(f"{POOLS}/{pool.id}/labels").json()["items"] if one["id"] == changed]
    assert [one["current"] for one in history] == [False, True]
