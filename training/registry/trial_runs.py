"""An MLflow run for each trial of a search, below the run of its job; they are where trials are listed from."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import Self

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag, ViewType

from training.registry import store
from training.registry.errors import translated
from training.registry.outbox import Outbox
from training.registry.params import flat_params
from training.registry.tracking import RunTracker
from training.result import TrialRow

STUDY_TAG, NUMBER_TAG, ROW_TAG, STATUS_TAG = "study_of", "trial", "trial_row", "trial_status"
"""`study_of` and not `job_id`: the runs of a job are its attempts."""
MAX_ROW_CHARS = 7900
"""MLflow cuts longer tags."""
PAGE = 1000
CLOSE_TIMEOUT_S = 60.0
UNHEARD = "its job ended before it did"
"""Of a trial whose end nobody has recorded."""
RUN_STATUS = {"COMPLETE": "FINISHED", "STOPPED": "FINISHED", "FAILED": "FAILED"}


class TrialRuns:
    """Records trials as child runs from a thread of its own; as a context it waits until all is recorded."""

    def __init__(self, tracker: RunTracker) -> None:
        self._client, self._tracker = tracker.client, tracker
        self._experiment = tracker.experiment_id
        self._open: dict[int, str] = {}
        self._told: dict[int, str] | None = None
        self._outbox = Outbox(f"trials-{tracker.job_id}", tracker.is_away)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._outbox.put(self._kill_open)
        if not self._outbox.close(CLOSE_TIMEOUT_S):
            self._tracker.log("the tracking server is too slow: some trials are not recorded")
        for problem in dict.fromkeys(self._outbox.problems):
            self._tracker.log(problem)

    def put(self, row: TrialRow) -> None:
        """The trial as it is now."""
        self._outbox.put(partial(self._begin if row.status == "RUNNING" else self._finish, row))

    def _begin(self, row: TrialRow) -> None:
        if row.number in self._open:
            return
        run = self._client.create_run(
            self._experiment,
            start_time=_ms(row.started_at),
            run_name=f"{self._tracker.job_id} trial {row.number}",
            tags={"mlflow.parentRunId": self._tracker.run_id, "mlflow.source.type": "JOB", **_tags(row, self._tracker)},
        )
        self._open[row.number] = run.info.run_id
        params = [Param(name, value) for name, value in flat_params({"model": {"params": row.params}}).items()]
        if params:
            self._client.log_batch(run.info.run_id, params=params[: PAGE // 10])

    def _finish(self, row: TrialRow) -> None:
        if row.number not in self._open and self._is_told(row):
            return
        self._begin(row)
        run_id, at = self._open[row.number], _ms(row.finished_at)
        metrics = [Metric(f"validation/{name}", value, at, 0) for name, value in row.values.items()]
        metrics += [Metric(name, value, at, 0) for name, value in row.facts.items()]
        if row.curve_metric is not None:
            metrics += [Metric(f"curve/{row.curve_metric}", value, at, step) for step, value in row.curve]
        tags = [RunTag(name, value) for name, value in _tags(row, self._tracker).items()]
        self._client.log_batch(run_id, metrics=metrics[:PAGE], tags=tags)
        self._client.set_terminated(run_id, RUN_STATUS[row.status], end_time=at)
        del self._open[row.number]

    def _is_told(self, row: TrialRow) -> bool:
        """Whether an attempt before this one has recorded the end; what it did not come to is made up for."""
        if self._told is None:
            told = trials_of(self._client, self._tracker.name, self._tracker.job_id)
            self._told = {known.number: known.status for known in told if known.error != UNHEARD}
        return self._told.get(row.number) == row.status

    def _kill_open(self) -> None:
        for run_id in self._open.values():
            self._client.set_terminated(run_id, "KILLED")


def trials_of(client: MlflowClient, name: str, job_id: str) -> list[TrialRow]:
    """The trials of a job by number; of one that two attempts ran, the later account of how it ended."""
    rows: dict[int, TrialRow] = {}
    for _, row in _runs(client, name, f"tags.{STUDY_TAG} = '{store.quoted(job_id)}'"):
        known = rows.get(row.number)
        if known is None or (known.error == UNHEARD and row.error != UNHEARD):
            rows[row.number] = row
    return [row for _, row in sorted(rows.items())]


def studies_of(client: MlflowClient, name: str) -> list[list[TrialRow]]:
    """The complete trials of each study of a model, or of one job; the newest study first."""
    wanted = f"tags.{STATUS_TAG} = 'COMPLETE'"
    found = _runs(client, name, wanted, limit=PAGE)
    if not found:
        found = _runs(client, None, f"{wanted} and tags.{STUDY_TAG} = '{store.quoted(name)}'", limit=PAGE)
    studies: dict[str, list[TrialRow]] = {}
    for study, row in found:
        studies.setdefault(study, []).append(row)
    return list(studies.values())


def close_stale(client: MlflowClient, experiment_id: str, job_id: str) -> None:
    """Ends the runs of trials whose process died."""
    wanted = f"tags.{STUDY_TAG} = '{store.quoted(job_id)}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id], wanted, max_results=PAGE):
        client.set_terminated(run.info.run_id, "KILLED")


def _runs(
    client: MlflowClient, name: str | None, wanted: str, *, limit: int | None = None
) -> list[tuple[str, TrialRow]]:  # fmt: skip
    """Trials, each with the job of its study, in the experiment of a model, or in all of them; the newest first."""
    with translated("reading the trials"):
        if name is None:
            experiments = [str(found.experiment_id) for found in client.search_experiments(max_results=PAGE)]
        else:
            experiment = client.get_experiment_by_name(name)
            experiments = [] if experiment is None else [str(experiment.experiment_id)]
        found: list[tuple[str, TrialRow]] = []
        token: str | None = None
        while experiments:
            page = client.search_runs(
                experiments, wanted, run_view_type=ViewType.ACTIVE_ONLY, max_results=PAGE,
                order_by=["attributes.start_time DESC"], page_token=token,
            )  # fmt: skip
            found += [(run.data.tags[STUDY_TAG], _row(run)) for run in page if ROW_TAG in run.data.tags]
            token = page.token
            if not token or (limit is not None and len(found) >= limit):
                break
        return found


def _row(run: Run) -> TrialRow:
    row = TrialRow.model_validate_json(run.data.tags[ROW_TAG])
    if row.status == "RUNNING" and run.info.status != "RUNNING":
        return row.model_copy(update={"status": "FAILED", "error": UNHEARD})
    return row


def _tags(row: TrialRow, tracker: RunTracker) -> dict[str, str]:
    return {
        STUDY_TAG: tracker.job_id,
        NUMBER_TAG: str(row.number),
        STATUS_TAG: row.status,
        ROW_TAG: _short(row),
    }


def _short(row: TrialRow) -> str:
    """The row as JSON, without the start of its curve where it would be too long for a tag."""
    text = row.model_dump_json()
    while len(text) > MAX_ROW_CHARS and row.curve:
        row = row.model_copy(update={"curve": row.curve[(len(row.curve) + 1) // 2 :]})
        text = row.model_dump_json()
    return text


def _ms(moment: str | None) -> int:
    return int(1000 * (time.time() if moment is None else datetime.fromisoformat(moment).timestamp()))
