"""A node is dead and Ray says nothing of its tasks: the attempts there are given up, and the jobs go on elsewhere."""

from __future__ import annotations

from pathlib import Path

from fake_cluster import HERE, FakeCluster

from ray_app.dispatcher.controller import Controller
from ray_app.dispatcher.flights import LOST_GRACE_S
from ray_app.dispatcher.messages import Done, Report
from ray_app.jobs.logs import JobLogs
from ray_app.jobs.model import Progress
from ray_app.jobs.store import JobStore


def test_the_job_goes_on_without_a_word_of_ray_and_its_ghost_is_fenced_out(tmp_path: Path) -> None:
    seconds = 1000.0
    cluster = FakeCluster()
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    controller = Controller(
        store, cluster, JobLogs(tmp_path), release_ahead=1, changed=lambda job_id, job: None, clock=lambda: seconds
    )  # fmt: skip
    job, _ = controller.submit("train", {"name": "credit", "max_retries": 0}, None)
    controller.step()
    assert controller.attempts.begin(job.id, 1, HERE)

    cluster.dead = frozenset({"another"})
    controller.step()
    seconds += 10 * LOST_GRACE_S
    controller.step()
    assert store.get(job.id).status == "RUNNING"

    cluster.dead = frozenset({HERE.node_id})
    assert controller.step() == []
    seconds += LOST_GRACE_S + 1
    assert [action.what for action in controller.step()] == ["settled"]
    after = store.get(job.id)
    assert after.status == "PENDING"
    assert "the node that did the job went away" in (after.progress.message or "")
    late = Report(Progress(phase="register"))
    assert controller.attempts.finish(job.id, 1, Done({}), late) is False
    assert store.get(job.id) == after
