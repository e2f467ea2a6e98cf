"""The models that a job fitted, side by side on rows that none of them learnt from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from training import evaluation
from training.models import FittedModel, HeldOut, Member
from training.models.calibration import CalibrationChoice
from training.result import CalibrationReport, Interval, LeaderboardRow
from training.spec import HybridSpec, TrainSpec

logger = logging.getLogger("training")

MAX_SAMPLES = 500
"""Bootstrap samples of the interval of a gain; there is one for each member."""


@dataclass(frozen=True)
class Standing:
    """What the fit stage gave: the model, the correction of its probabilities, the seconds that it took."""

    fitted: FittedModel
    calibration: CalibrationChoice | None
    fit_s: float


def leaderboard(
    spec: TrainSpec,
    task: str,
    threshold: float | None,
    standing: Standing,
    resampling: evaluation.ResamplingOptions,
) -> tuple[list[LeaderboardRow], list[str]]:
    """The job's model first, then its members, the best first and those that failed last; and what there is to say.

    Gains are measured on scores as they are before calibration, which the members do not have.
    """
    fitted, choice = standing.fitted, standing.calibration
    held, notes = fitted.held_out, list(fitted.notes)
    if held is None:
        return [LeaderboardRow(model=spec.model.family, validation={}, fit_s=standing.fit_s)], notes
    own = choice.calibration.apply(held.scores) if choice and choice.calibration else held.scores
    metric = evaluation.primary_metric(task)
    named = [metric, *spec.evaluation.metrics] if spec.evaluation.metrics else []
    validation = evaluation.point_metrics(task, held.target, own, held.weight, named, threshold=threshold)
    samples: evaluation.ResamplingOptions = {
        **resampling,
        "bootstrap_samples": min(MAX_SAMPLES, spec.evaluation.bootstrap_samples),
    }
    rows = [_member_row(task, held, member, named, samples) for member in held.members]
    sign = -1.0 if evaluation.greater_is_better(metric) else 1.0
    rows.sort(key=lambda row: (row.error is not None, sign * row.validation.get(metric, 0.0)))
    notes += _verdict(spec, rows, metric)
    for note in notes:
        logger.warning("%s", note)
    first = LeaderboardRow(model=_name(spec), validation=validation, fit_s=standing.fit_s)
    return [first, *rows], notes


def calibration_report(choice: CalibrationChoice | None) -> CalibrationReport | None:
    """For the result of the job."""
    if choice is None:
        return None
    found = choice.calibration
    return CalibrationReport(
        method=found.method if found else "none",
        rows=choice.rows,
        log_loss_before=choice.log_loss_before,
        log_loss_after=choice.log_loss_after,
        temperature=found.temperature if found and found.method == "temperature" else None,
        reason=choice.reason,
    )


def _member_row(
    task: str, held: HeldOut, member: Member, named: list[str], samples: evaluation.ResamplingOptions
) -> LeaderboardRow:
    if member.scores is None:
        return LeaderboardRow(model=member.name, validation={}, fit_s=round(member.fit_s, 4), error=member.error)
    metric = evaluation.primary_metric(task)
    return LeaderboardRow(
        model=member.name,
        validation=evaluation.point_metrics(task, held.target, member.scores, held.weight, named),
        fit_s=round(member.fit_s, 4),
        gain=evaluation.paired_difference(
            task, metric, held.target, held.scores, member.scores, held.weight, **samples
        ),
        share=member.share,
    )


def _verdict(spec: TrainSpec, rows: list[LeaderboardRow], metric: str) -> list[str]:
    """Whether a hybrid is better than the best of its parents."""
    best = next((row for row in rows if row.error is None and row.gain is not None), None)
    if best is None or best.gain is None or best.gain.value is None or not isinstance(spec.model, HybridSpec):
        return []
    if best.gain.low is not None and best.gain.low > 0:
        return []
    what = "is worse than" if best.gain.value < 0 else "is not certainly better than"
    return [f"the hybrid has not earned its place: in {metric} it {what} {best.model} alone, gain {_shown(best.gain)}"]


def _shown(gain: Interval) -> str:
    if gain.low is None or gain.high is None:
        return f"{gain.value:+.4f}"
    return f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"


def _name(spec: TrainSpec) -> str:
    return f"hybrid: {spec.model.strategy}" if isinstance(spec.model, HybridSpec) else spec.model.family
