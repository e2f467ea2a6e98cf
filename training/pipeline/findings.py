"""What becomes of the findings of the checks: some stop the job, some are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.errors import DataError, Problem
from training.result import Finding
from training.spec import TrainSpec

_TOLD_BEFORE = frozenset({"identifier", "constant", "duplicate_rows"})
"""Checks whose findings are among the warnings of the schema and the split already."""


def stop_on(findings: Sequence[Finding], spec: TrainSpec) -> None:
    """Ends the job where a check of `validation.fail_on` found something.

    Raises:
        DataError: with one problem for each finding.
    """
    wanted = spec.validation.fail_on
    grave = [finding for finding in findings if finding.check in wanted and finding.severity != "info"]
    if not grave:
        return
    problems = [Problem(f"validation.{one.check}", ", ".join(one.columns), one.evidence) for one in grave]
    more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
    hint = f"{grave[0].remedy} If it is right as it is, take {grave[0].check} out of validation.fail_on."
    raise DataError(f"the check {grave[0].check} failed: {grave[0].evidence}{more}", hint=hint, problems=problems)


def told(findings: Sequence[Finding], spec: TrainSpec) -> Iterator[str]:
    """The findings as warnings for people."""
    wanted = spec.validation.warn_on
    for one in findings:
        if one.severity == "info" or (wanted is not None and one.check not in wanted):
            continue
        if wanted is None and one.check in _TOLD_BEFORE:
            continue
        yield f"{one.check}: {one.evidence}. {one.remedy}"
