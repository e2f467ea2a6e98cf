"""The gate promotes what is better beyond the noise, and says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.mts_scoring.model import Feature
from training.registry import Registry, gate, row_hashes
from training.registry.rows import unseen
from training.result import GateVerdict
from training.spec import TrainSpec, parse_spec

from .conftest import KINDS, TARGET, Register, Trained, people, spec_of, train


@pytest.fixture(scope="module")
def data():
    return people(1200)


@pytest.fixture(scope="module")
def good(data) -> Trained:
    return train(data)


@pytest.fixture(scope="module")
def poor(data) -> Trained:
    return train(data, noise=0.9)


def decide(registry: Registry, name: str, challenger: Trained, **promotion: object) -> GateVerdict:
    evaluation = promotion.pop("evaluation", {})
    spec = parse_spec(TrainSpec, spec_of(name, promotion=promotion, evaluation=evaluation))
    return gate.decide(registry, challenger.model, challenger.test, challenger.test_frame, spec)


def champion_is(registry: Registry, name: str, register: Register, trained: Trained) -> str:
    version = register(trained).version
    registry.promote(name, version, reason="", by="test")
    return version


def test_the_first_version_is_promoted(registry: Registry, name: str, good: Trained) -> None:
    verdict = decide(registry, name, good)
    assert verdict.decision == "promote"
    assert verdict.reasons == ["the model had no champion"]
    assert (verdict.champion, verdict.difference, verdict.metric) == (None, None, "roc_auc")


def test_what_is_better_beyond_the_noise_is_promoted(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, poor)
    verdict = decide(registry, name, good)
    assert verdict.decision == "promote"
    assert verdict.champion == {"version": "1"}
    assert 0 < verdict.difference.low < verdict.difference.value < verdict.difference.high
    gain = verdict.difference
    interval = f"95% interval [{gain.low:+.4f}, {gain.high:+.4f}]"
    assert verdict.reasons == [f"gain in roc_auc against version 1 on 480 test rows: {gain.value:+.4f}, {interval}"]


def test_what_is_worse_is_kept_out(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, good)
    verdict = decide(registry, name, poor)
    assert verdict.decision == "keep"
    assert verdict.difference.high < 0
    assert verdict.reasons[1:] == ["the new version is not better"]


def test_the_same_model_is_not_better(registry, name, register, good) -> None:
    champion_is(registry, name, register, good)
    verdict = decide(registry, name, good)
    assert (verdict.decision, verdict.difference.value) == ("keep", 0.0)


def test_a_gain_within_the_noise_is_no_reason(registry, name, register, data, good) -> None:
    champion_is(registry, name, register, good)
    verdicts = [decide(registry, name, train(data, seed=seed, noise=0.05)) for seed in range(1, 8)]
    slight = [verdict for verdict in verdicts if verdict.difference.value > 0 and verdict.difference.low <= 0]
    assert slight
    for verdict in slight:
        assert verdict.decision == "keep"
        assert verdict.reasons[1] == "the gain is within the noise: the interval includes 0"


def test_a_gain_below_the_least_wanted_is_no_reason(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, poor)
    verdict = decide(registry, name, good, min_gain=0.9)
    assert verdict.decision == "keep"
    assert verdict.reasons[1:] == ["the gain is below min_gain 0.9"]


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_metric_of_the_spec_decides_whatever_its_direction(  # noqa: PLR0917  # fixtures
    registry, name, register, good, poor, metric
) -> None:
    champion_is(registry, name, register, poor)
    verdict = decide(registry, name, good, metric=metric)
    assert (verdict.decision, verdict.metric) == ("promote", metric)
    assert verdict.difference.value > 0


@pytest.mark.parametrize(("policy", "decision"), [("always", "promote"), ("never", "keep")])
def test_a_policy_that_asks_nothing(  # noqa: PLR0917  # fixtures
    registry, name, register, good, poor, policy, decision
) -> None:
    champion_is(registry, name, register, good)
    verdict = decide(registry, name, poor, policy=policy)
    assert (verdict.decision, verdict.reasons) == (decision, [f"the promotion policy is {policy}"])


def test_rows_that_the_champion_was_fitted_on_do_not_count(registry, name, register, data, good) -> None:
    champion_is(registry, name, register, good)
    other_split = train(data, seed=5)
    seen = set(np.concatenate([good.split.train, good.split.validation])) & set(other_split.split.test)
    verdict = decide(registry, name, other_split)
    left = 480 - len(seen)
    assert f"on {left} test rows ({len(seen)} that the champion was fitted on left out)" in verdict.reasons[0]


def test_rows_that_repeat_do_not_count_as_seen(registry, name, register, data) -> None:
    coarse = data.assign(income=data["income"].round(-4), age=50.0)
    champion_is(registry, name, register, train(coarse, noise=0.9))
    verdict = decide(registry, name, train(coarse))
    rows = int(verdict.reasons[0].split(" test rows")[0].rsplit(" ", 1)[1])
    assert rows > 400


def test_too_few_new_rows_decide_nothing(registry, name, register, good) -> None:
    champion_is(registry, name, register, good)
    fitted_on = np.sort(np.concatenate([good.split.train, good.split.validation]))
    swapped = replace(good, split=replace(good.split, train=good.split.test, test=fitted_on))
    verdict = decide(registry, name, swapped)
    assert verdict.decision == "keep"
    assert verdict.reasons == ["only 0 of 720 test rows are new to the champion, version 1; a comparison needs 30"]


def test_a_slice_that_loses_too_much_keeps_the_champion(registry, name, register, data) -> None:
    north = data["region"] == "north"
    spoiled = data.copy()
    spoiled.loc[north, TARGET] = np.where(spoiled.loc[north, TARGET] == "yes", "no", "yes")
    champion_is(registry, name, register, train(data))
    challenger = replace(train(spoiled), data=train(data).data)
    verdict = decide(registry, name, challenger, max_slice_drop=0.1, evaluation={"slices": ["region"]})
    assert verdict.decision == "keep"
    assert any("worse by" in reason and "where region is north; allowed 0.1" in reason for reason in verdict.reasons)
    assert not any("where region is south" in reason for reason in verdict.reasons)


def test_a_champion_that_predicts_something_else_is_replaced(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, replace(good, model=replace(good.model, target="churned")))
    verdict = decide(registry, name, poor)
    assert verdict.decision == "promote"
    assert verdict.reasons == ["the champion predicts 'churned' (binary), the new version 'default' (binary)"]


def test_a_champion_that_needs_other_columns_stays(registry, name, register, good, poor) -> None:
    features = (*good.model.features, Feature("height", "numeric"))
    champion = champion_is(registry, name, register, good)
    info = registry.version(name, champion)
    manifest = next(Path(info.source).rglob("manifest.json"))
    model = registry.load(info)
    replace(model, features=features).save(manifest.parent.with_name("wider"))
    manifest.write_text((manifest.parent.with_name("wider") / "manifest.json").read_text())
    verdict = decide(registry, name, poor)
    assert verdict.decision == "keep"
    assert verdict.reasons == ["the data lack columns of the champion: height"]


def test_a_champion_with_other_classes_stays(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, replace(good, model=replace(good.model, classes=("never", "yes"))))
    verdict = decide(registry, name, poor)
    assert verdict.decision == "keep"
    assert "they cannot be compared" in verdict.reasons[0]


def test_a_champion_with_the_classes_in_another_order_is_compared(registry, name, register, good) -> None:
    champion_is(registry, name, register, good)
    swapped = replace(good.model, classes=("yes", "no"))
    rows = replace(good.test, target=1 - good.test.target)
    spec = parse_spec(TrainSpec, spec_of(name))
    verdict = gate.decide(registry, swapped, rows, good.test_frame, spec)
    # The challenger's columns carry the wrong names: it is as bad as the champion is good.
    assert verdict.decision == "keep"
    assert verdict.difference.value < -0.4


def test_a_champion_whose_files_are_broken_is_replaced(registry, name, register, good, poor) -> None:
    version = champion_is(registry, name, register, good)
    next(Path(registry.version(name, version).source).rglob("*.ubj")).write_bytes(b"broken")
    verdict = decide(registry, name, poor)
    assert verdict.decision == "promote"
    assert "the champion, version 1, cannot be loaded" in verdict.reasons[0]


def test_the_verdict_is_carried_out_once(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, poor)
    version = register(good, verdict=decide(registry, name, good))
    assert registry.resolve(name).version == "1"
    assert gate.apply(registry, version).decision == "promote"
    assert registry.model(name).aliases == {"champion": "2", "previous": "1"}
    entry = registry.version(name, "2").history[0]
    assert (entry.by, entry.replaced) == ("gate", "1")
    assert entry.reason.startswith("gain in roc_auc")
    registry.rollback(name, reason="complaints", by="ann")
    # A second attempt of the job does not undo what a person did since.
    assert gate.apply(registry, version).decision == "promote"
    assert registry.resolve(name).version == "1"


def test_a_version_that_is_kept_out_is_the_challenger(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, good)
    version = register(poor, verdict=decide(registry, name, poor))
    assert gate.apply(registry, version).decision == "keep"
    assert registry.model(name).aliases == {"champion": "1", "challenger": "2"}


def test_a_champion_that_came_in_between_stays(registry, name, register, good, poor) -> None:
    champion_is(registry, name, register, poor)
    verdict = decide(registry, name, good)
    champion_is(registry, name, register, good)
    late = gate.apply(registry, register(good, verdict=verdict))
    assert late.decision == "keep"
    assert late.reasons[-1] == f"not promoted: version 2 became the champion of {name} meanwhile"
    assert registry.resolve(name).version == "2"


def test_rows_are_known_again_whatever_type_a_reader_gave_them(registry, name, register, good) -> None:
    champion_is(registry, name, register, good)
    frame = good.test_frame.assign(children=good.test_frame["children"].astype(float))
    seen = (
        good.data.frame.iloc[good.split.train]
        .reset_index(drop=True)
        .assign(children=lambda rows: rows["children"].astype("Int64"), member=lambda rows: rows["member"].astype(int))
    )
    hashes = registry.seen_rows(registry.resolve(name))
    columns = [*KINDS, TARGET]
    assert not unseen(row_hashes(seen, columns), hashes).any()
    assert unseen(row_hashes(frame, columns), hashes).all()
