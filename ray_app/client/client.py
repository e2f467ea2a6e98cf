"""The client: one method for each thing that the service does."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from ray_app.client import streams
from ray_app.client.monitors import MonitorsApi
from ray_app.client.pools import PoolCalls
from ray_app.client.transport import TIMEOUT_S, Transport, segment
from ray_app.client.types import ModelDetails, ModelVersion
from ray_app.jobs.model import Job, JobEvent, JobKind, JobPage, JobStatus
from training.bundle_file import check_archive
from training.result import EvaluationResult, TrialRow
from training.spec import EvaluateSpec, TrainSpec

LONG_POLL_S = 30.0
PAGE_SIZE = 100
BUNDLE_TIMEOUT_S = 300.0

Spec = Mapping[str, Any] | TrainSpec


class MtsClient:
    """A client of the service; may be used from many threads. Use it as a context manager, or call `close`.

    Every method raises MtsApiError where the service answers with a problem, and MtsConnectionError where it does not
    answer after several attempts.

    Args:
        base_url: where the service is.
        api_key: where it asks for one.
        transport: another way to carry requests, for tests.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(base_url.rstrip("/"), api_key, transport)
        self.pools = PoolCalls(self._transport)
        """Active learning: pools of rows to label."""
        self.monitors = MonitorsApi(self._transport)
        """Models in use: predictions and outcomes in, reports and alarms out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return self._transport.url

    def close(self) -> None:
        """Closes the connections."""
        self._transport.http.close()

    @overload
    def train(self, spec: Spec, *, dry_run: Literal[False] = False, idempotency_key: str | None = None) -> Job: ...

    @overload
    def train(self, spec: Spec, *, dry_run: Literal[True], idempotency_key: str | None = None) -> dict[str, Any]: ...

    def train(self, spec: Spec, *, dry_run: bool = False, idempotency_key: str | None = None) -> Job | dict[str, Any]:
        """Submits a training job; with `dry_run` only answers the plan.

        Args:
            idempotency_key: the same key and spec answer the same job. Default: a fresh one for each call, so that a
                repeated attempt never trains twice.
        """
        key = {} if dry_run else {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        response = self._transport.send(
            "POST", "/train", params={"dry_run": "true" if dry_run else None}, body=_plain(spec), headers=key,
            idempotent=True, timeout_s=2 * TIMEOUT_S,
        )  # fmt: skip
        if dry_run:
            plan: dict[str, Any] = response.json()
            return plan
        return Job.model_validate_json(response.content)

    def job(self, job_id: str, *, wait_s: float = 0) -> Job:
        """The job; with `wait_s` (at most 60) as soon as it is final, or when the time is over."""
        response = self._transport.send(
            "GET", f"/jobs/{segment(job_id)}", params={"wait_s": wait_s or None}, timeout_s=TIMEOUT_S + wait_s
        )
        return Job.model_validate_json(response.content)

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """The job in its final state.

        Raises:
            TimeoutError: it is not final after `timeout_s`.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = LONG_POLL_S if deadline is None else deadline - time.monotonic()
            job = self.job(job_id, wait_s=max(0.0, min(left_s, LONG_POLL_S)))
            if job.status.final:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"{job_id} is {job.status} after {timeout_s:g} s")

    def jobs(
        self,
        *,
        status: Sequence[JobStatus | str] = (),
        kind: JobKind | None = None,
        name: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first; fetches further pages as they are asked for, up to `limit` jobs."""
        params: dict[str, Any] = {"status": ",".join(status) or None, "kind": kind, "name": name, "tag": tag}
        left = limit
        cursor = None
        while left is None or left > 0:
            size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
            response = self._transport.send("GET", "/jobs", params=params | {"limit": size, "cursor": cursor})
            page = JobPage.model_validate_json(response.content)
            yield from page.items
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def trials(self, job_id: str) -> Iterator[TrialRow]:
        """The configurations that the job's search has tried, by number; fetches further pages as needed."""
        cursor = None
        while True:
            params = {"limit": PAGE_SIZE, "cursor": cursor}
            page = self._transport.send("GET", f"/jobs/{segment(job_id)}/trials", params=params).json()
            yield from (TrialRow.model_validate(item) for item in page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """What happens to the job, each event once and in order, until it is over; survives a broken connection."""
        return streams.events(self._transport, job_id, after=after)

    def logs(self, job_id: str, *, follow: bool = False) -> Iterator[str]:
        """The job's log in pieces; with `follow` until the job is over."""
        return streams.log(self._transport, job_id, follow=follow)

    def cancel(self, job_id: str) -> Job:
        """Asks the job to stop."""
        return Job.model_validate_json(self._transport.send("POST", f"/jobs/{segment(job_id)}/cancel").content)

    def retry(self, job_id: str) -> Job:
        """Submits the spec of a failed or cancelled job anew."""
        return Job.model_validate_json(self._transport.send("POST", f"/jobs/{segment(job_id)}/retry").content)

    def upload(self, path: str | Path) -> dict[str, Any]:
        """Uploads a CSV or Parquet file; a spec names it as {"type": "upload", "id": …}."""
        return self._transport.upload("/datasets", Path(path))

    def uploads(self) -> Iterator[dict[str, Any]]:
        """Uploads, newest first."""
        cursor = None
        while True:
            page = self._transport.send("GET", "/datasets", params={"limit": PAGE_SIZE, "cursor": cursor}).json()
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def delete_upload(self, upload_id: str) -> None:
        """Removes an upload."""
        self._transport.send("DELETE", f"/datasets/{segment(upload_id)}")

    def job_data(self, job_id: str) -> dict[str, Any]:
        """The profile of every column of the job's data, and what the checks found."""
        report: dict[str, Any] = self._transport.send("GET", f"/jobs/{segment(job_id)}/data").json()
        return report

    def reproduce(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """Trains again from the job's snapshot; the new job's result states the difference in each metric."""
        response = self._transport.send(
            "POST", f"/jobs/{segment(job_id)}/reproduce", idempotent=True,
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
        )  # fmt: skip
        return Job.model_validate_json(response.content)

    def evaluate(
        self,
        spec: Mapping[str, Any] | EvaluateSpec,
        *,
        wait_s: float = LONG_POLL_S,
        idempotency_key: str | None = None,
    ) -> EvaluationResult | Job:
        """Measures a model against data: the report when it is done within `wait_s` (at most 60), else the job."""
        response = self._transport.send(
            "POST", "/evaluate", params={"wait_s": wait_s}, body=_plain(spec), idempotent=True,
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex}, timeout_s=TIMEOUT_S + wait_s,
        )  # fmt: skip
        if response.status_code == httpx.codes.ACCEPTED:
            return Job.model_validate_json(response.content)
        return EvaluationResult.model_validate_json(response.content)

    def models(self) -> Iterator[ModelDetails]:
        """Registered models, each with its newest version."""
        cursor = None
        while True:
            page = self._transport.send("GET", "/models", params={"limit": PAGE_SIZE, "cursor": cursor}).json()
            yield from (ModelDetails.model_validate(item) for item in page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def model(self, name: str) -> ModelDetails:
        """A model with all its versions."""
        return ModelDetails.model_validate_json(self._transport.send("GET", f"/models/{segment(name)}").content)

    def version(self, name: str, version: str | int) -> ModelVersion:
        """One version."""
        return ModelVersion.model_validate_json(
            self._transport.send("GET", f"/models/{segment(name)}/versions/{segment(version)}").content
        )

    def report(self, name: str, version: str | int) -> dict[str, Any]:
        """The evaluation report of a version."""
        report: dict[str, Any] = json.loads(self._report(name, version, "application/json"))
        return report

    def report_page(self, name: str, version: str | int) -> str:
        """The evaluation report of a version as an HTML page."""
        return self._report(name, version, "text/html").decode()

    def _report(self, name: str, version: str | int, accept: str) -> bytes:
        path = f"/models/{segment(name)}/versions/{segment(version)}/report"
        return self._transport.send("GET", path, headers={"Accept": accept}).content

    def promote(self, name: str, version: str | int, *, reason: str = "", force: bool = False) -> ModelDetails:
        """Makes the version the champion. `force` goes past the gate; it needs a reason, and the role approver."""
        body = {"reason": reason, "force": force}
        response = self._transport.send(
            "POST", f"/models/{segment(name)}/versions/{segment(version)}/promote", body=body
        )
        return ModelDetails.model_validate_json(response.content)

    def rollback(self, name: str, *, reason: str = "") -> ModelDetails:
        """Makes the previous champion the champion again."""
        response = self._transport.send("POST", f"/models/{segment(name)}/rollback", body={"reason": reason})
        return ModelDetails.model_validate_json(response.content)

    def bundle(self, name: str, version: str | int, folder: Path) -> Path:
        """Downloads the hand-off archive of a version into a folder, and checks it.

        Raises:
            BundleError: what came is not what was sent.
        """
        path = f"/models/{segment(name)}/versions/{segment(version)}/bundle"
        response = self._transport.send("GET", path, timeout_s=BUNDLE_TIMEOUT_S)
        archive = folder / f"{name}-{version}.zip"
        archive.write_bytes(response.content)
        check_archive(archive, response.headers["ETag"].strip('"'))
        return archive

    def compare(self, name: str, a: str | int, b: str | int) -> dict[str, Any]:
        """Version b against version a, each by number or alias."""
        response = self._transport.send("GET", f"/models/{segment(name)}/compare", params={"a": str(a), "b": str(b)})
        comparison: dict[str, Any] = response.json()
        return comparison

    def audit(self, name: str) -> list[dict[str, Any]]:
        """Who did what to the versions of a model, newest first."""
        entries: list[dict[str, Any]] = self._transport.send("GET", f"/models/{segment(name)}/audit").json()["items"]
        return entries

    def archive(self, name: str, version: str | int, *, reason: str = "", archived: bool = True) -> ModelVersion:
        """Puts a version away, so that it cannot be promoted; or takes it back."""
        path = f"/models/{segment(name)}/versions/{segment(version)}/archive"
        body = {"reason": reason, "archived": archived}
        return ModelVersion.model_validate_json(self._transport.send("POST", path, body=body).content)

    def delete_version(self, name: str, version: str | int, *, reason: str = "") -> None:
        """Deletes a version for good; needs the role approver."""
        path = f"/models/{segment(name)}/versions/{segment(version)}"
        self._transport.send("DELETE", path, params={"reason": reason or None})


def _plain(spec: Mapping[str, Any] | TrainSpec | EvaluateSpec) -> dict[str, Any]:
    if isinstance(spec, TrainSpec | EvaluateSpec):
        return spec.model_dump(mode="json")
    return dict(spec)
