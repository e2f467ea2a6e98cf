"""A pool in the running service: two labellers, searches that follow one another, a restart amid a training."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from browser import browser_page, find_browser
from whole_service import ROOT, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

POOLS = "/api/v1/active-learning/pools"
with (ROOT / "examples/data/german_credit.csv").open(newline="") as lines:
    TRUTH = [row["creditability"] for row in csv.DictReader(lines)]
SPEC = {
    "name": "labelled-together",
    "data": {
        "source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability",
        "classes": ["good", "bad"], "positive_class": "bad",
    },
    "model": {"family": "sklearn", "estimator": "logistic_regression"},
    "tune": {"num_trials": 4, "searcher": "random"},
    "batch_size": 20, "initial_size": 40, "test_size": 40, "control_share": 0.5, "lease_s": 86_400,
}  # fmt: skip
# what is queued may change as soon as the service is up: the training goes on
KEPT = ("test_labelled", "active_labelled", "random_labelled", "leased", "spent", "by_class", "by_labeller")


@dataclass
class Pool:
    """A pool in the service."""

    service: WholeService
    id: str
    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.path = f"{POOLS}/{self.id}"

    def get(self) -> dict[str, Any]:
        return dict(self.service.http.get(self.path).raise_for_status().json())

    def history(self) -> list[dict[str, Any]]:
        return list(self.service.http.get(f"{self.path}/labels").raise_for_status().json()["items"])

    def query(self, labeller: str, size: int = 20) -> list[str]:
        asked = {"labeller": labeller, "size": size}
        answer = self.service.http.post(f"{self.path}/query", json=asked, params={"wait_s": 60}).raise_for_status()
        return [item["id"] for item in answer.json()["items"]]

    def label(self, labeller: str, rows: list[str]) -> httpx.Response:
        labels = [{"id": row, "label": TRUTH[int(row)]} for row in rows]
        return self.service.http.post(f"{self.path}/labels", json={"labeller": labeller, "labels": labels})

    def work(self, labeller: str) -> None:
        rows = self.query(labeller)
        if rows:
            self.label(labeller, rows).raise_for_status()

    def settled(self) -> dict[str, Any]:
        """The pool once none of its jobs is under way."""
        while jobs := (found := self.get())["jobs"]:
            for job in jobs.values():
                self.service.finished(job)
        return found

    def trainings(self) -> list[dict[str, Any]]:
        """Oldest first."""
        asked = {"tag": f"pool={self.id}", "kind": "train"}
        items = self.service.http.get("/api/v1/jobs", params=asked).raise_for_status().json()["items"]
        return list(reversed(items))


@dataclass
class Story:
    """What was seen on the way: rows of each labeller, the refusal, the pool and its labels before and after."""

    pool: Pool
    ann: list[str]
    bob: list[str]
    refused: httpx.Response
    before: dict[str, Any]
    said_before: list[dict[str, Any]]
    after: dict[str, Any]
    said_after: list[dict[str, Any]]
    held_after: list[str]


@pytest.fixture(scope="module")
def story(whole: WholeService) -> Story:
    """Told once."""
    made = whole.http.post(POOLS, json=SPEC)
    assert made.status_code == 201, made.text
    pool = Pool(whole, made.json()["id"])
    ann, bob = pool.query("ann"), pool.query("bob")
    refused = pool.label("bob", ann[:1])
    pool.label("ann", ann).raise_for_status()
    pool.label("bob", bob).raise_for_status()
    pool.settled()
    held = pool.query("ann")
    while "train" not in pool.get()["jobs"]:
        pool.work("bob")
    before, said_before = pool.get(), pool.history()

    # the training is under way: nothing waits for it
    whole.mts("down")
    whole.mts("up", "--detach")

    after, said_after, held_after = pool.get(), pool.history(), pool.query("ann")
    assert held_after == held
    while len(pool.settled()["evidence"]["curves"].get("active", [])) < 2:
        pool.work("ann")
        pool.work("bob")
    return Story(pool, ann, bob, refused, before, said_before, after, said_after, held_after)


def test_two_labellers_share_the_work_and_only_the_holder_labels(story: Story) -> None:
    assert len(story.ann) == len(story.bob) == 20
    assert not set(story.ann) & set(story.bob)
    assert story.refused.status_code == 409
    assert "was not handed to bob" in story.refused.json()["detail"]
    assert set(story.pool.get()["counts"]["by_labeller"]) == {"ann", "bob"}


def test_a_restart_in_the_middle_of_a_training_loses_nothing(story: Story) -> None:
    assert story.said_after == story.said_before
    assert len(story.held_after) == 20
    assert all(story.after["counts"][name] == story.before["counts"][name] for name in KEPT)
    assert story.before["model"] is None
    first = story.pool.trainings()[0]
    assert first["id"] == story.before["jobs"]["train"]
    assert first["status"] == "SUCCEEDED", first["error"]
    labelled = story.before["counts"]
    rows = sum(labelled[f"{part}_labelled"] for part in ("test", "active", "random"))
    assert first["result"]["data"]["rows"] == rows
    assert first["result"]["data"]["test_rows"] == labelled["test_labelled"]


def test_each_training_goes_through_the_gate_and_searches_from_where_the_last_one_ended(story: Story) -> None:
    first, second = story.pool.trainings()[:2]
    assert second["result"]["gate"]["champion"] == {"version": first["result"]["model"]["version"]}
    assert second["result"]["data"]["test_rows"] == first["result"]["data"]["test_rows"]
    trials = story.pool.service.http.get(f"/api/v1/jobs/{first['id']}/trials").raise_for_status().json()["items"]
    tried = [trial["params"] for trial in trials]
    begun = second["result"]["study"]["started_from"]
    assert first["result"]["study"]["started_from"] == []
    assert begun
    assert all(params in tried for params in begun)


def test_the_evidence_has_both_arms_on_the_same_frozen_rows(story: Story) -> None:
    evidence = story.pool.get()["evidence"]
    for arm in ("active", "random"):
        points = evidence["curves"][arm]
        assert len(points) >= 2
        assert all(point["low"] <= point["value"] <= point["high"] for point in points)
    assert evidence["at_equal_labels"]["labels"] >= 10
    assert "frozen random test set" in evidence["note"]


@pytest.mark.browser
def test_the_page_of_the_service_shows_both_arms(story: Story) -> None:
    program = find_browser()
    assert program is not None
    with browser_page(program) as page:
        page.open(f"http://127.0.0.1:{story.pool.service.port}{story.pool.path}/page")
        page.value("document.getElementById('labeller').focus()")
        page.type("ann")
        page.press("Enter")
        page.until("!document.getElementById('evidence').hidden")
        arms = page.value("[...document.querySelectorAll('#arms tr')].map(line => line.firstChild.textContent)")
        assert arms == ["active", "random"]
        assert page.value("document.querySelectorAll('#curves polyline').length") == 2
        assert page.console == []
