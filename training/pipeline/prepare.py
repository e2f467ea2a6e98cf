"""From a source to rows that a model can be fitted on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.data import (
    Dataset,
    check_train_rows,
    infer_schema,
    make_rows,
    nested_splits,
    row_hashes,
    split_rows,
    split_warnings,
)
from training.data.checks import CheckContext, run_checks
from training.data.table import Rows, Split, TableSchema
from training.distributed import check_spread
from training.evaluation import check_metrics, check_slices
from training.models.families import family_of
from training.pipeline.findings import stop_on, told
from training.result import DataSummary, Finding
from training.spec import TrainSpec
from training.tuning import plan_study

logger = logging.getLogger("training")


@dataclass(frozen=True)
class Decided:
    """What each column is, and which rows go where; `folds` as in `Checked`."""

    schema: TableSchema
    split: Split
    folds: tuple[Split, ...]


@dataclass(frozen=True)
class Checked:
    """Data that passed the checks, with every decision about them made.

    `hashes`: one of each row, [n], over the features and the target.
    """

    dataset: Dataset
    schema: TableSchema
    split: Split
    hashes: npt.NDArray[np.uint64]
    columns: int
    """Of the rows as they were read."""
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    folds: tuple[Split, ...] = ()
    """Of the train and validation rows, where the spec wants a cross-validation."""

    def summary(self) -> DataSummary:
        """The rows that the job sees, for its result."""
        return DataSummary(
            rows=int(self.dataset.frame[self.schema.target].notna().sum()),
            columns=self.columns,
            sha256=self.dataset.sha256,
            train_rows=len(self.split.train),
            validation_rows=len(self.split.validation),
            test_rows=len(self.split.test),
            split=f"{self.split.strategy}: {self.split.reason}",
            warnings=list(self.warnings),
            findings=list(self.findings),
            feature_store=self.dataset.feature_store,
        )

    def for_one_fit(self, spec: TrainSpec) -> Checked:
        """Without the columns that only `partition` reads, once it has: a long fit needs the memory.

        A search and a cross-validation partition the rows again, and keep all of them.
        """
        if spec.tune is not None or self.folds:
            return self
        data = spec.data
        named = (self.schema.target, data.group_column, data.time_column, spec.split.column)
        kept = list(dict.fromkeys(name for name in named if name is not None))
        return replace(self, dataset=replace(self.dataset, frame=self.dataset.frame[kept].copy()))


@dataclass(frozen=True)
class Parts:
    """The three sides of a split. `test_frame` has every column of the test rows, for slices and for the champion."""

    train: Rows
    validation: Rows
    test: Rows
    test_frame: pd.DataFrame


def check(dataset: Dataset, spec: TrainSpec) -> Checked:
    """As `inspect`.

    Raises:
        SpecError: the spec names what the data do not have.
        DataError: the data cannot be used, or a check of `validation.fail_on` found something.
    """
    checked = inspect(dataset, spec)
    stop_on(checked.findings, spec)
    return checked


def decide(dataset: Dataset, spec: TrainSpec) -> Decided:
    """Decides what each column is and which rows go where, and refuses what cannot work.

    Raises:
        SpecError: the spec names what the data do not have.
        DataError: the data cannot be used.
    """
    check_spread(spec)
    frame = dataset.frame
    schema = infer_schema(frame, spec.data, spec.split)
    family_of(spec.model).check(spec.model, schema.task)
    if spec.tune is not None:
        plan_study(spec, schema.task)
    check_slices(spec.evaluation.slices, list(frame.columns))
    check_slices(spec.evaluation.fairness, list(frame.columns), "evaluation.fairness")
    check_metrics(spec, schema.task, schema.classes)
    split = split_rows(frame, schema, spec.data, spec.split)
    folds = nested_splits(frame, schema, spec.data, spec.split, split=split)
    check_train_rows(frame, schema, split)
    return Decided(schema, split, folds)


def inspect(dataset: Dataset, spec: TrainSpec, *, look_closer: bool = True) -> Checked:
    """Decides as `decide` does, and looks for what would make the model worthless.

    Args:
        dataset: the rows.
        spec: what is to be trained.
        look_closer: False for the decisions alone, without the checks of `validation`.

    Raises:
        SpecError, DataError: as `decide`.
    """
    decided = decide(dataset, spec)
    frame, schema, split, folds = dataset.frame, decided.schema, decided.split, decided.folds
    hashes = row_hashes(frame, [*(column.name for column in schema.features), schema.target])
    warnings = (*_sample_warning(dataset), *schema.warnings, *split_warnings(frame, schema, split, hashes))
    checked = Checked(dataset, schema, split, hashes, len(frame.columns), warnings, folds=folds)
    if not look_closer:
        return checked
    findings = run_checks(context_of(checked, spec))
    if dataset.sampled_from:
        of = f" (in {len(frame):,} evenly spaced rows of {dataset.sampled_from:,})"
        findings = tuple(one.model_copy(update={"evidence": one.evidence + of}) for one in findings)
    return replace(checked, warnings=(*warnings, *told(findings, spec)), findings=findings)


def _sample_warning(dataset: Dataset) -> tuple[str, ...]:
    if not dataset.sampled_from:
        return ()
    rows = f"{len(dataset.frame):,} evenly spaced rows of {dataset.sampled_from:,}"
    return (f"memory does not hold all rows: types, checks and sizes are of {rows}",)


def context_of(checked: Checked, spec: TrainSpec) -> CheckContext:
    """What the checks and the profile of the columns look at."""
    return CheckContext(
        checked.dataset.frame, checked.schema, checked.split, checked.hashes, spec.data, spec.validation
    )


def partition(checked: Checked, spec: TrainSpec) -> Parts:
    """Makes the rows of each side."""
    frame, schema, split = checked.dataset.frame, checked.schema, checked.split
    train, validation, test = (
        make_rows(frame, schema, spec.data, side) for side in (split.train, split.validation, split.test)
    )
    test_frame = frame.iloc[np.asarray(split.test)]
    test_frame.index = pd.RangeIndex(len(test_frame))  # reset_index would copy the rows once more
    return Parts(train, validation, test, test_frame)
