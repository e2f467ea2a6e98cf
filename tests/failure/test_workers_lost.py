"""Workers of one fit are killed, stopped, or lose their node: the fit goes on, or says why it cannot."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dispatcher_cluster import add_node, worker_nodes
from ray.cluster_utils import Cluster
from ray.util import remove_placement_group
from spread_fits import (
    LONG_BOOSTING,
    LONG_NETWORK,
    Watcher,
    all_is_free,
    fit_data,
    fit_until_enough,
    has_checkpoint,
    kill_a_worker,
    spread_fit,
    stop_a_worker,
)

from training.distributed import xgboost_ray_fit
from training.distributed.gang import Gang
from training.errors import FitError, UnavailableError, WorkerLostError
from training.events import SilentObserver
from training.spec import ModelSpec

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

EVERY = pytest.mark.parametrize(
    ("engine", "spec"), [("xgboost_ray", LONG_BOOSTING), ("ray_train", LONG_BOOSTING), ("ray_train", LONG_NETWORK)]
)
OFTEN_S = 1.0
"""Between checkpoints."""


@pytest.fixture(scope="module")
def cluster(head: Cluster) -> Iterator[Cluster]:
    """Two nodes with one CPU each."""
    with worker_nodes(head, 1, 1):
        yield head


@EVERY
def test_a_killed_worker_costs_no_more_than_the_work_since_the_last_checkpoint(
    engine: str, spec: ModelSpec, cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Watcher(act=kill_a_worker, ready=lambda: has_checkpoint(tmp_path))
    with caplog.at_level(logging.INFO, logger="training"):
        fitted = spread_fit(engine, spec, fit_data("binary"), tmp_path, heard, checkpoint_every_s=OFTEN_S)
    assert fitted.facts.get("rounds", fitted.facts.get("epochs")) == heard.steps[-1] == max(heard.steps)
    assert min(heard.steps[heard.acted_at :]) > 1, "it started from nothing"
    told = rf"worker \d on {re.escape(socket.gethostname())} \(process \d+\) died.*\(restart 1 of 2\)"
    assert re.search(told, caplog.text)
    assert all_is_free(within_s=20)


@pytest.mark.parametrize(("engine", "spec"), [("xgboost_ray", LONG_BOOSTING), ("ray_train", LONG_BOOSTING)])
def test_when_the_budget_is_spent_the_error_names_the_worker(
    engine: str, spec: ModelSpec, cluster: Cluster, tmp_path: Path
) -> None:
    with pytest.raises(WorkerLostError, match=r"worker \d on .* \(process \d+\) died: ") as lost:
        spread_fit(
            engine, spec, fit_data("binary"), tmp_path, Watcher(at_step=5, act=kill_a_worker), max_restarts=0
        )  # fmt: skip
    assert "memory" in lost.value.hint
    assert all_is_free(within_s=20)


@pytest.mark.parametrize(("engine", "spec"), [("xgboost_ray", LONG_BOOSTING), ("ray_train", LONG_BOOSTING)])
def test_a_worker_that_hangs_is_replaced(
    engine: str, spec: ModelSpec, cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Watcher(act=stop_a_worker, ready=lambda: has_checkpoint(tmp_path), until_restarted=True)
    with caplog.at_level(logging.INFO, logger="training"):
        fit_until_enough(engine, spec, tmp_path, heard, checkpoint_every_s=OFTEN_S, hang_timeout_s=10.0)
    assert "said nothing for too long" in caplog.text


def test_room_that_is_taken_away_is_said_and_worth_another_attempt(cluster: Cluster) -> None:
    gang = Gang.reserve("train:nowhere:job", {"CPU": 99}, 2)
    remove_placement_group(gang.group)
    with pytest.raises(UnavailableError, match="room that was reserved for the workers is gone") as gone:
        gang.wait(SilentObserver())
    assert gone.value.details().retryable


def test_no_room_is_asked_for_once_it_was_given_back(cluster: Cluster) -> None:
    """As when a fit is cancelled while another thread starts its workers again."""
    gang = Gang.reserve("train:nowhere:job", {"CPU": 99}, 2)
    gang.release()
    with pytest.raises(UnavailableError):
        gang.resize(1)
    assert all_is_free(within_s=20)


def test_what_a_worker_raises_is_told_with_its_rank_and_is_not_tried_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = xgboost_ray_fit.shards_of

    @contextmanager
    def lost(*arguments: object) -> Iterator[object]:
        with written(*arguments) as shards:  # type: ignore[arg-type]
            (tmp_path / "shards" / "train.parquet").unlink()
            yield shards

    monkeypatch.setattr(xgboost_ray_fit, "shards_of", lost)
    with pytest.raises(FitError, match=r"worker \d on \S+ raised FileNotFoundError: .*train.parquet"):
        spread_fit("xgboost_ray", LONG_BOOSTING, fit_data("binary"), tmp_path)
    assert "last lines" in caplog.text


def test_a_lost_node_is_not_counted_against_the_job(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def lose() -> None:
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        add_node(cluster, 1)

    heard = Watcher(act=lose, ready=lambda: has_checkpoint(tmp_path), until_restarted=True)
    with caplog.at_level(logging.INFO, logger="training"):
        fit_until_enough("xgboost_ray", LONG_BOOSTING, tmp_path, heard, max_restarts=0, checkpoint_every_s=OFTEN_S)
    assert "was lost with its node" in caplog.text
    assert "(restart 1 of 10)" in caplog.text
