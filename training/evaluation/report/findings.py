"""What was checked, and what the report does not say: sentences for people who decide."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluation.report.model import Check, WeakSlices
from training.mts_scoring.model import ScoringModel
from training.result import DataSummary, GateVerdict, Interval, SliceRow
from training.spec import TrainSpec

FEW_ROWS = 100
HIGH_ECE = 0.1


def checks_of(
    metrics: dict[str, Interval], data: DataSummary, gate: GateVerdict | None, weak: WeakSlices
) -> list[Check]:  # fmt: skip
    """What was looked at before the version was made, and what was found."""
    checks = [
        Check(
            name="hold-out rows",
            passed=data.test_rows >= FEW_ROWS,
            detail=f"{data.test_rows:,} rows that neither the fit nor the choice of anything has seen; "
            f"split {data.split}",
        ),
        Check(
            name="data",
            passed=not data.warnings,
            detail="; ".join(data.warnings) or "nothing odd was found in the columns or between the sides of the split",
        ),
        Check(
            name="weak slices",
            passed=not weak.found,
            detail=f"{weak.tested:,} slices tested at a false discovery rate of {weak.false_discovery_rate:.0%}: "
            f"{len(weak.found) or 'none'} found worse than the rest",
        ),
    ]
    ece = metrics.get("ece")
    if ece is not None and ece.value is not None:
        checks.append(
            Check(
                name="calibration",
                passed=ece.value <= HIGH_ECE,
                detail=f"expected calibration error {ece.value:.3f}; up to {HIGH_ECE:g} passes",
            )
        )
    if gate is not None:
        checks.append(Check(name="gate", passed=gate.decision == "promote", detail="; ".join(gate.reasons)))
    return checks


def limits_of(
    spec: TrainSpec, data: DataSummary, model: ScoringModel, weak: WeakSlices, slices: Sequence[SliceRow]
) -> list[str]:  # fmt: skip
    """What a reader must not conclude."""
    limits = [
        f"All figures are of {data.test_rows:,} rows from the source of the training rows; others may give other ones.",
        "The intervals say how much depends on which rows were held out, not on which rows were trained on.",
        "Contributions say what the model uses, not what causes the outcome.",
    ]
    if not data.split.startswith("time"):
        limits.append("The rows were not split by time: how the model ages was not measured.")
    if data.test_rows < FEW_ROWS:
        limits.append(f"Fewer than {FEW_ROWS} hold-out rows: small differences cannot be seen.")
    if any(row.small for row in slices):
        limits.append("Slices marked small have too few rows for their figures to say much.")
    if not weak.found and weak.tested:
        limits.append("That no weak slice was found does not mean that there is none: small ones cannot be told "
                      "from chance.")  # fmt: skip
    if not spec.evaluation.fairness:
        limits.append("No group was named for a comparison (evaluation.fairness): differences were not looked at.")
    if model.task == "binary" and spec.evaluation.cost_matrix is None:
        limits.append("No costs of wrong decisions were given: the threshold is 0.5, which suits equal costs only.")
    return limits
