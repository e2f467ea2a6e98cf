"""Whole reports over streams whose truth is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from watched import BINARY, NOW, REGRESSION, START, Feed, monitor, people, profile_of

from training.monitoring.analyse import Analysis, analyse
from training.monitoring.page import render_page
from training.monitoring.profile import ReferenceProfile
from training.monitoring.results import MonitorReport
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe

REFERENCE = profile_of(people(8000, 0))


def report(feed: Feed, profile: ReferenceProfile = REFERENCE, now: datetime = NOW, **changes: object) -> MonitorReport:
    spec = monitor(**changes)
    observed = observe(feed.store, feed.schema, "1")
    return analyse(Analysis(spec, profile), observed, version="1", fingerprint="f", now=now)


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(StreamStore(str(tmp_path), "people"))


def test_a_profile_is_the_same_after_it_was_stored() -> None:
    again = ReferenceProfile.parsed(REFERENCE.dumped())
    assert again.table.to_pydict() == REFERENCE.table.to_pydict()
    assert (again.schema, again.importance) == (REFERENCE.schema, REFERENCE.importance)


@pytest.mark.slow
def test_a_stationary_stream_does_not_alarm(feed: Feed) -> None:
    """The rate over hundreds of windows is in benchmarks/monitoring.py."""
    feed.outcomes(feed.predictions(people(8000, 100), every_s=1))
    found = report(feed, tests=["ks", "wasserstein", "chi_square", "jensen_shannon", "psi"])
    assert len(found.windows) == 8
    assert [window.findings for window in found.windows] == [[]] * 8


def test_a_shift_is_seen_in_its_first_window_and_its_performance_foretold(feed: Feed) -> None:
    feed.predictions(people(2000, 1))
    shifted = people(2000, 2, shift=1.5)
    rows = feed.predictions(shifted, start=START + timedelta(days=3))
    silent = report(feed)
    quiet, drifted = silent.windows[1], silent.windows[2]
    assert quiet.findings == []
    assert {finding.kind for finding in drifted.findings} >= {"drift", "prediction", "multivariate"}
    assert drifted.attribution[0].feature == "income"
    assert drifted.realised == []
    feed.outcomes(rows)
    realised = report(feed).windows[2]
    assert realised.realised[0].value == pytest.approx(drifted.estimated[0].value, abs=0.05)


def test_concept_drift_shows_in_outcomes_only(feed: Feed) -> None:
    turned = people(2000, 3)
    turned["actual"] = 1 - turned["actual"]
    feed.outcomes(feed.predictions(turned))
    window = report(feed).windows[0]
    kinds = {(finding.kind, finding.severity) for finding in window.findings}
    assert ("realised", "critical") in kinds
    assert not {kind for kind, _ in kinds} & {"estimated", "drift", "prediction", "multivariate"}


def test_data_quality_is_watched(feed: Feed) -> None:
    odd = people(1000, 4)
    odd.loc[:399, "income"] = np.nan
    odd.loc[:99, "region"] = "west"
    odd.loc[:49, "age"] = 900.0
    feed.predictions(odd)
    window = report(feed).windows[0]
    found = {(row.feature, row.check): row.share for row in window.quality if row.alarm}
    assert found == {("income", "missing"): 0.4, ("region", "unseen"): 0.1, ("age", "range"): 0.05}
    severities = {finding.subject: finding.severity for finding in window.findings if finding.kind == "quality"}
    assert severities == {"income": "critical", "region": "warning", "age": "warning"}


def test_windows_of_time_are_judged_when_they_are_over(feed: Feed) -> None:
    feed.predictions(people(300, 5), every_s=60)
    feed.predictions(people(300, 6), start=START + timedelta(hours=12), every_s=1)
    feed.predictions(people(60, 7), start=START + timedelta(hours=18), every_s=1)
    feed.predictions(people(200, 8), start=START + timedelta(hours=24), every_s=1)
    six_hours = {"duration_s": 21_600}
    found = report(feed, now=START + timedelta(hours=25), window=six_hours, min_rows_per_window=100)
    assert [w.state for w in found.windows] == ["judged", "empty", "judged", "too few rows", "open"]
    assert found.windows[4].findings == []
    assert found.windows[4].drift


def test_a_window_above_the_limit_is_sampled_and_the_report_says_so(feed: Feed) -> None:
    feed.predictions(people(3000, 9))
    found = report(feed, window={"rows": 3000}, max_rows_per_window=1000)
    assert (found.windows[0].rows, found.windows[0].analysed) == (3000, 1000)
    assert any("sampled" in note for note in found.notes)


@pytest.mark.slow
def test_direct_loss_estimation_foretells_the_error_of_a_regression(tmp_path: Path) -> None:
    feed = Feed(StreamStore(str(tmp_path), "people"), REGRESSION)
    profile = profile_of(people(8000, 10, task="regression"), REGRESSION)
    # errors grow with |income|: a shift makes the model worse, which features alone foretell
    rows = feed.predictions(people(3000, 11, shift=1.0, task="regression"))
    window = report(feed, profile, window={"rows": 3000}).windows[0]
    estimated = {row.metric: row.value for row in window.estimated}
    error = rows["score"] - rows["actual"]
    assert estimated["mae"] == pytest.approx(error.abs().mean(), rel=0.1)
    assert estimated["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=0.12)
    assert "rmse" in {finding.subject for finding in window.findings if finding.kind == "estimated"}


def test_a_reference_that_varies_over_its_time_widens_its_thresholds(feed: Feed) -> None:
    seasons = pd.concat([people(1000, 20 + n, shift=0.4 * (n % 2)) for n in range(8)], ignore_index=True)
    feed.predictions(people(1000, 30, shift=0.4))
    assert any(finding.subject == "income" for finding in report(feed).windows[0].findings)
    window = report(feed, profile_of(seasons)).windows[0]
    assert not [finding for finding in window.findings if finding.kind == "drift"]


def test_slices_and_the_page(feed: Feed) -> None:
    feed.outcomes(feed.predictions(people(2000, 12)))
    found = report(feed, slices=["region"])
    slices = {row.value: row for row in found.windows[0].slices}
    assert set(slices) == {"north", "south", "öst"}
    assert 0.5 < slices["north"].realised["roc_auc"] < 1
    page = render_page(found)
    assert page.count("<svg") >= 6
    assert "<script" not in page
    assert "öst" in page


def test_the_same_stream_gives_the_same_report(feed: Feed) -> None:
    feed.predictions(people(1000, 13))
    first, second = (report(feed).model_dump(exclude={"timings"}) for _ in range(2))
    assert first == second
    assert BINARY.task == first["task"]
