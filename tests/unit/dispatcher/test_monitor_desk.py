"""Schedules and alarms in the dispatcher: whatever is interrupted and done again is done once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.dispatcher.monitor_desk import MonitorDesk
from ray_app.dispatcher.pool_desk import PoolDesk
from ray_app.jobs.model import Job, JobError
from ray_app.jobs.store import JobStore
from ray_app.jobs.webhooks import WebhookEvent


class World:
    """A store, a clock that the test sets, and a desk that can die and come again."""

    def __init__(self, url: str) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
        self.store = JobStore(url, clock=lambda: self.now)
        self.desk = self.new_desk()

    def new_desk(self) -> MonitorDesk:
        pools = PoolDesk(self.store.pools, lambda kind, spec: self.submit(kind, spec, None)[0], self.store.get)
        return MonitorDesk(
            self.store.monitors, self.submit, self.store.list, lambda: self.now, pools=pools, announce=self.announce
        )

    def announce(self, event: WebhookEvent, only: str | None) -> None:
        self.store.webhooks.add(event, ["first", "second"] if only is None else [only])

    def submit(self, kind: Any, spec: dict[str, Any], key: str | None) -> tuple[Job, bool]:
        return self.store.create(kind, spec["name"], spec, tags=spec.get("tags"), idempotency_key=key)

    def jobs(self, do: str | None = None) -> list[Job]:
        from ray_app.jobs.model import JobQuery

        return [job for job in self.store.list(JobQuery(limit=200)).items if do is None or job.spec.get("do") == do]

    def done(self, job: Job, result: dict[str, Any]) -> Job:
        attempt = self.store.assign_attempt(job.id)
        self.store.started(job.id, attempt)
        found = self.store.succeed(job.id, attempt, result)
        assert found is not None
        return found


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    made = World(store_url)
    yield made
    made.store.close()


def spec(**changes: Any) -> dict[str, Any]:
    return {"name": "loans", "model": {"name": "loans"}, **changes}


def checked(*severities: str) -> dict[str, Any]:
    alarms = [
        {"kind": "drift", "subject": f"x{number}", "severity": severity, "message": "x has drifted", "value": 0.5,
         "threshold": 0.1, "window_start": "2026-01-01T00:00:00+00:00", "window_end": "2026-01-02T00:00:00+00:00"}
        for number, severity in enumerate(severities)
    ]  # fmt: skip
    return {"monitor": "loans", "model": {"name": "loans", "version": "3"}, "windows": 3, "alarms": alarms}


def test_a_schedule_starts_a_job_when_it_is_due_and_once(world: World) -> None:
    world.desk.put(spec(schedule={"report": "5 * * * *"}), replace=False)
    assert world.desk.step() == []
    world.now += timedelta(minutes=5)
    assert len(world.desk.step()) == 1
    assert world.desk.step() == []
    assert [job.spec["do"] for job in world.jobs()] == ["check"]
    assert world.desk.get("loans").next_report_at == datetime(2026, 1, 1, 13, 5, tzinfo=UTC)


def test_what_fell_due_while_nobody_ran_is_started_once(world: World) -> None:
    world.desk.put(spec(schedule={"report": "*/5 * * * *", "retrain": "0 0 * * *"}), replace=False)
    world.now += timedelta(days=2)
    desk = world.new_desk()
    assert len(desk.step()) == 2
    assert world.new_desk().step() == []
    assert sorted(job.spec["do"] for job in world.jobs()) == ["check", "retrain"]


@pytest.mark.parametrize(("kind", "actions"), [("report", 0), ("retrain", 1)])
def test_a_crash_between_the_job_and_the_note_of_it_starts_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, actions: int
) -> None:
    world.desk.put(spec(schedule={kind: "5 * * * *"}), replace=False)
    world.now += timedelta(minutes=5)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.store.monitors, "reschedule", dies)
        with pytest.raises(KeyboardInterrupt):
            world.desk.step()
    assert len(world.new_desk().step()) == 1
    assert len(world.jobs()) == 1
    assert len(world.desk.alarms("loans", 50, None).actions) == actions


def test_a_check_that_ended_while_nobody_listened_is_settled_and_once(world: World) -> None:
    world.desk.put(spec(schedule={"report": "5 * * * *"}, policy={"actions": ["notify", "rollback"]}), replace=False)
    world.now += timedelta(minutes=5)
    world.desk.step()
    world.done(world.jobs("check")[0], checked("warning", "critical"))
    for _ in range(2):
        world.new_desk().reconcile()
    page = world.desk.alarms("loans", 50, None)
    assert [alarm.severity for alarm in page.items] == ["critical", "warning"]
    assert sorted((action.action, action.state) for action in page.actions) == [
        ("notify", "started"), ("rollback", "started"),
    ]  # fmt: skip
    assert len(world.jobs("notify")) == len(world.jobs("rollback")) == 1
    assert world.jobs("rollback")[0].spec["alarm"]["id"] == page.items[0].id


@pytest.mark.parametrize(("webhook", "told"), [(None, ["first", "second"]), ("second", ["second"])])
def test_webhooks_hear_of_an_alarm_once(world: World, webhook: str | None, told: list[str]) -> None:
    world.desk.put(spec(schedule={"report": "5 * * * *"}, policy={"webhook": webhook}), replace=False)
    world.now += timedelta(minutes=5)
    world.desk.step()
    job = world.done(world.jobs("check")[0], checked("critical"))
    for _ in range(2):
        world.new_desk().job_over(job)
    deliveries = world.store.webhooks.page(None).items
    assert sorted(delivery.webhook for delivery in deliveries) == told
    [alarm] = world.desk.alarms("loans", 50, None).items
    event = deliveries[0].event
    assert (event.id, event.type, event.model, event.version) == (f"evt_{alarm.id}", "monitor.alarm", "loans", "3")
    assert event.data["message"] == "x has drifted"


def test_figures_of_monitors_outlive_the_dispatcher(world: World) -> None:
    world.desk.put(spec(schedule={"report": "5 * * * *"}), replace=False)
    world.desk.put({"name": "new", "model": {"name": "loans"}}, replace=False)
    world.now += timedelta(minutes=5)
    world.desk.step()
    world.desk.job_over(world.done(world.jobs("check")[0], checked("warning", "critical", "critical")))
    before = world.desk.stats()
    again = world.new_desk()
    again.reconcile()
    assert again.stats() == before
    assert [(found.monitor, found.alarms, found.windows) for found in before] == [
        ("loans", {"warning": 1, "critical": 2}, {"quiet": 2, "alarmed": 1}), ("new", {}, {}),
    ]  # fmt: skip


def test_the_same_finding_is_no_second_alarm(world: World) -> None:
    world.desk.put(spec(schedule={"report": "* * * * *"}), replace=False)
    for _ in range(2):
        world.now += timedelta(minutes=1)
        world.desk.step()
        world.desk.job_over(world.done(world.jobs("check")[0], checked("critical")))
    page = world.desk.alarms("loans", 50, None)
    assert len(page.items) == 1
    assert len(page.actions) == 1


def test_a_retraining_leads_to_a_training_job_whose_line_goes_back_to_the_alarm(world: World) -> None:
    world.desk.put(spec(schedule={"report": "* * * * *"}, policy={"actions": ["retrain"]}), replace=False)
    world.now += timedelta(minutes=1)
    world.desk.step()
    world.desk.job_over(world.done(world.jobs("check")[0], checked("critical")))
    plan = world.done(world.jobs("retrain")[0], {"train": {"name": "loans", "tags": {"monitor": "loans"}}})
    for _ in range(2):
        world.desk.job_over(plan)
    [training] = [job for job in world.jobs() if job.kind == "train"]
    [action] = world.desk.alarms("loans", 50, None).actions
    assert (action.job_id, action.train_job_id, action.alarm_id) == (
        plan.id, training.id, world.desk.alarms("loans", 50, None).items[0].id,
    )  # fmt: skip


@pytest.mark.parametrize(("action", "result"), [
    ("retrain", {"train": None, "reason": "35 labelled rows; 200 are needed"}),
    ("label", {"rows": 3, "pool": None, "reason": "3 rows without outcome"}),
    ("rollback", {"rolled_back": False, "reason": "version 4 is the champion by now"}),
])  # fmt: skip
def test_an_action_that_could_not_be_done_says_why_and_does_not_keep_the_next_one_waiting(
    world: World, action: str, result: dict[str, Any]
) -> None:
    world.desk.put(spec(schedule={"report": "* * * * *"}, policy={"actions": [action]}), replace=False)

    def alarm(subject: str) -> Job:
        world.now += timedelta(minutes=1)
        world.desk.step()
        found = checked("critical")
        found["alarms"][0]["subject"] = subject
        world.desk.job_over(world.done(world.jobs("check")[0], found))
        return world.jobs(action)[0]

    world.desk.job_over(world.done(alarm("x"), result))
    [told] = world.desk.alarms("loans", 50, None).actions
    assert (told.state, told.reason) == ("suppressed", result["reason"])

    failing = alarm("y")
    attempt = world.store.assign_attempt(failing.id)
    world.store.started(failing.id, attempt)
    failed = world.store.fail(failing.id, attempt, JobError(type="StoreError", message="the registry is away"))
    assert failed is not None
    world.new_desk().reconcile()
    [again, _] = world.desk.alarms("loans", 50, None).actions
    assert again.state == "suppressed"
    assert again.reason.endswith("FAILED: the registry is away")
    assert len({alarm("z").id, failing.id}) == 2


def test_pages_of_monitors_and_of_alarms_go_on_where_they_ended(world: World) -> None:
    for name in ("a", "b", "c"):
        world.desk.put({"name": name, "model": {"name": "loans"}}, replace=False)
    first = world.desk.list(2, None)
    assert [item.name for item in first.items] == ["a", "b"]
    assert [item.name for item in world.desk.list(2, first.next_cursor).items] == ["c"]
    world.desk.remove("b")
    assert [item.name for item in world.desk.list(5, None).items] == ["a", "c"]
