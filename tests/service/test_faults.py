"""Parts of the running service are killed with SIGKILL in the middle of a job; nothing is lost."""

from __future__ import annotations

import psutil
import pytest
from whole_service import SLOW_MODEL, WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def versions_of(whole: WholeService, name: str, job_id: str) -> list[str]:
    model = whole.http.get(f"/api/v1/models/{name}").raise_for_status().json()
    return [version["version"] for version in model["versions"] if version["job_id"] == job_id]


@pytest.mark.parametrize(
    ("title", "attempts"),
    [("ray::DispatcherActor", 2), ("ray::train:", 2), ("ray::ServeReplica", 1)],
    ids=["dispatcher", "worker", "replica"],
)
def test_a_job_survives_the_death_of(whole: WholeService, title: str, attempts: int) -> None:
    job = whole.submit(name="survivor", model=SLOW_MODEL)
    whole.until_fitting(job["id"])
    victims = whole.processes(title)
    assert victims
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=30)

    done = whole.finished(job["id"])

    assert done["status"] == "SUCCEEDED", done["error"]
    assert done["attempt"] == attempts
    assert versions_of(whole, "survivor", job["id"]) == [done["result"]["model"]["version"]]
    states = whole.states(job["id"])
    assert states[0] == "PENDING"
    assert states[-1] == "SUCCEEDED"
    assert states.count("RUNNING") == attempts


def test_a_cancelled_job_frees_its_cpus(whole: WholeService) -> None:
    jobs = [whole.submit(name=f"stopped-{number}", model=SLOW_MODEL) for number in (1, 2)]
    for job in jobs:
        whole.until_fitting(job["id"])
        assert whole.http.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 202
    for job in jobs:
        assert whole.finished(job["id"])["status"] == "CANCELLED"
        assert whole.http.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 409

    assert whole.finished(whole.submit(name="after-stop")["id"])["status"] == "SUCCEEDED"
    assert whole.http.get("/api/v1/models/stopped-1").status_code == 404


def test_down_and_up_keep_everything_and_a_running_job_goes_on(whole: WholeService) -> None:
    kept = whole.finished(whole.submit(name="kept")["id"])
    running = whole.submit(name="interrupted", model=SLOW_MODEL)
    whole.until_fitting(running["id"])

    whole.mts("down")
    assert whole.processes("ray::") == []
    whole.mts("up", "--detach")

    after = whole.job(kept["id"])
    # the pages may have moved to another port; the job has not changed
    assert after.pop("links")["mlflow"].endswith(f"/#/runs/{kept['result']['run_id']}")
    assert after == {name: value for name, value in kept.items() if name != "links"}
    done = whole.finished(running["id"])
    assert (done["status"], done["attempt"]) == ("SUCCEEDED", 2)
    log = whole.http.get(f"/api/v1/jobs/{running['id']}/logs").text
    assert "from a checkpoint" in log, "it was asked to leave one, long before the next was due"
    assert whole.http.get("/api/v1/models/kept").json()["aliases"]["champion"] == kept["result"]["model"]["version"]
