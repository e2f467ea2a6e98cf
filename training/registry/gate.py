"""Whether a new version becomes the champion, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd

from training.data.table import Rows
from training.errors import NotFoundError
from training.evaluation import SMALL_ROWS, primary_metric, slice_labels
from training.mts_scoring.model import ScoringModel
from training.registry.comparison import Comparison, HoldOut, compare
from training.registry.limits import broken, latency_ms, measured
from training.registry.model import CHAMPION, VersionInfo
from training.registry.registry import Registry
from training.result import GateVerdict, Interval, VersionReference
from training.spec import PromotionSpec, TrainSpec

ACTOR = "gate"


def decide(
    registry: Registry, challenger: ScoringModel, test: Rows, test_frame: pd.DataFrame, spec: TrainSpec
) -> GateVerdict:
    """Compares the challenger with the champion; changes nothing.

    `if_better` promotes when, on test rows that neither model was fitted on, the metric is better by at least
    `min_gain` and the interval of the gain lies above 0: a gain within the noise is no reason to change what is in
    use. With `cheaper_by` a version that is not worse but cheaper is promoted too. The limits hold for every version:
    one that breaks them stays out even where there is no champion. The first version that keeps them is promoted, and
    so is one whose champion predicts something else or cannot be read any more; a champion that cannot score these
    rows stays.

    Args:
        registry: where the champion is.
        challenger: the new model.
        test: its hold-out rows.
        test_frame: the same rows with every column of the data.
        spec: the job's; name, promotion and evaluation are used.

    Raises:
        UnavailableError: the registry is away.
    """
    metric = spec.promotion.metric or primary_metric(challenger.task)
    if spec.promotion.policy == "never":
        return GateVerdict(decision="keep", reasons=["the promotion policy is never"], metric=metric)
    champion = _champion(registry, spec.name)
    known: dict[str, object] = {"metric": metric}
    if champion is not None:
        known["champion"] = {"version": champion.version}
    if spec.promotion.policy == "always":
        return _verdict("promote", ["the promotion policy is always"], known)
    facts = measured(challenger, test, spec.promotion)
    failed = broken(facts, spec.promotion)
    known |= {"facts": facts, "failed_checks": failed}
    if champion is None:
        return _verdict("keep" if failed else "promote", failed or ["the model had no champion"], known)
    compared = compare(registry, champion, challenger, HoldOut(test, test_frame), metric)
    if isinstance(compared, GateVerdict):
        return _verdict("keep" if failed else compared.decision, [*compared.reasons, *failed], known)
    return judge(compared, champion.version, test_frame, spec, known)


def judge(
    compared: Comparison, champion: str, test_frame: pd.DataFrame, spec: TrainSpec, known: Mapping[str, object]
) -> GateVerdict:
    """The verdict on a challenger whose scores stand beside the champion's.

    Args:
        compared: both on the same rows.
        champion: its version, for people.
        test_frame: the challenger's test rows with every column.
        spec: the job's.
        known: further fields of the verdict; `facts` and `failed_checks` are used.
    """
    difference = compared.difference(spec)
    facts = dict(cast("Mapping[str, float]", known.get("facts", {})))
    objections = _objections(compared, difference, spec)
    reasons = [_told(compared, difference, champion, spec)]
    if objections and spec.promotion.cheaper_by is not None:
        cheaper, told = _cheaper(compared, difference, facts, spec.promotion)
        reasons.append(told)
        objections = [] if cheaper else objections
    failed = cast("list[str]", known.get("failed_checks", []))
    objections += [*_worse_slices(compared, test_frame, spec), *failed]
    found = {"difference": difference, "method": compared.method, "rows": len(compared.rows), "facts": facts}
    return _verdict("keep" if objections else "promote", [*reasons, *objections], {**known, **found})


def apply(registry: Registry, version: VersionReference) -> GateVerdict:
    """Carries out the verdict that was registered with the version.

    Done again, after a crash or by a second attempt of the job, it changes nothing. When another version became the
    champion since the verdict, the version is not promoted: it was compared with one that is no longer in use.

    Returns:
        The verdict as carried out.
    """
    info = registry.version(version.name, version.version)
    if info.gate is None:
        return GateVerdict(decision="keep", reasons=["the version carries no verdict of the gate"])
    verdict = info.gate
    if verdict.decision == "keep" or info.history:
        return verdict
    champion = _champion(registry, version.name)
    compared_with = None if verdict.champion is None else verdict.champion["version"]
    if champion is not None and champion.version not in {version.version, compared_with}:
        late = f"version {champion.version} became the champion while this job ran; compare with it before promoting"
        return verdict.model_copy(update={"decision": "keep", "reasons": [*verdict.reasons, late]})
    if champion is None or champion.version != version.version:
        registry.promote(version.name, version.version, reason="; ".join(verdict.reasons), by=ACTOR)
    return verdict


def _champion(registry: Registry, name: str) -> VersionInfo | None:
    try:
        return registry.resolve(name, alias=CHAMPION)
    except NotFoundError:
        return None


def _cheaper(
    compared: Comparison, difference: Interval, facts: dict[str, float], wanted: PromotionSpec
) -> tuple[bool, str]:  # fmt: skip
    """Whether the challenger is not worse and costs less, and that in words; notes the champion's cost in `facts`."""
    if compared.champion is None or wanted.cheaper_by is None or "latency_ms" not in facts:
        return False, "what the champion costs is not known"
    old = facts["champion_latency_ms"] = latency_ms(compared.champion, compared.rows.frame)
    new = facts["latency_ms"]
    told = f"a single row takes {new:.2f} ms, the champion {old:.2f} ms"
    if difference.low is None or difference.low < -wanted.max_loss:
        return False, f"{told}; that it is not worse by more than {wanted.max_loss:g} is not shown"
    if new > (1 - wanted.cheaper_by) * old:
        return False, f"{told}; that is not {wanted.cheaper_by:.0%} less"
    return True, f"{told}: not worse by more than {wanted.max_loss:g}, and cheaper"


def _verdict(decision: str, reasons: Sequence[str], known: Mapping[str, object]) -> GateVerdict:
    return GateVerdict.model_validate({"decision": decision, "reasons": list(reasons), **known})


def _objections(compared: Comparison, difference: Interval, spec: TrainSpec) -> list[str]:
    """Why the challenger is not to be promoted."""
    if difference.value is None or difference.low is None:
        return [f"{compared.metric} or its interval is not defined on these rows"]
    reasons = []
    if difference.value <= 0:
        reasons.append("the new version is not better")
    elif difference.low <= 0:
        reasons.append("the gain is within the noise: the interval includes 0")
    if 0 < difference.value < spec.promotion.min_gain:
        reasons.append(f"the gain is below min_gain {spec.promotion.min_gain:g}")
    return reasons


def _worse_slices(compared: Comparison, test_frame: pd.DataFrame, spec: TrainSpec) -> list[str]:
    """The slices on which the challenger loses more than the spec allows; small ones say nothing and are left out."""
    limit = spec.promotion.max_slice_drop
    reasons = []
    for column in () if limit is None else spec.evaluation.slices:
        labels = slice_labels(test_frame[column]).to_numpy()[compared.fresh]
        for label in np.unique(labels):
            inside = labels == label
            gain = compared.gain(inside, spec) if inside.sum() >= SMALL_ROWS else None
            if gain is not None and limit is not None and gain < -limit:
                reasons.append(
                    f"{compared.metric} is worse by {-gain:.4f} where {column} is {label}; allowed {limit:g}"
                )
    return reasons


def _told(compared: Comparison, difference: Interval, champion: str, spec: TrainSpec) -> str:
    rows, tested = len(compared.rows), len(compared.fresh)
    left_out = f" ({tested - rows} that the champion was fitted on left out)" if rows < tested else ""
    measured = f"{compared.metric} against version {champion} on {rows} test rows{left_out}"
    if difference.value is None:
        return f"no gain can be measured: {measured}"
    interval = ""
    if difference.low is not None and difference.high is not None:
        interval = f", {spec.evaluation.confidence:.0%} interval [{difference.low:+.4f}, {difference.high:+.4f}]"
    return f"gain in {measured}: {difference.value:+.4f}{interval}"
