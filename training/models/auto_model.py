"""Several families within a time budget."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from training.errors import DataError, SpecError, nearest
from training.models.auto_clock import Budget
from training.models.auto_portfolio import Shape, names, portfolio
from training.models.auto_search import Search, usable
from training.models.base import FitContext, FitData, FittedModel, HeldOut, Member, ModelFamily
from training.models.combining import GreedyOptions
from training.models.fitting import features_of
from training.models.hybrid_params import check_params
from training.models.members import TIME_OVER, Combining, default_folds, reason_of, stack
from training.models.pool import Pool, folds_of
from training.mts_scoring.constant_predictor import ConstantPredictor
from training.spec import AutoSpec, ModelSpec, SpecModel

logger = logging.getLogger("training")

DEFAULT_BUDGET_S = 60.0


class AutoParams(SpecModel):
    """Parameters of the family auto."""

    n_folds: int | None = Field(default=None, ge=2, le=20)
    """Folds; each configuration is fitted once for each. Default: 8 for few rows, down to 3 for very many."""
    exclude: list[str] = []
    """Configurations that are not tried."""
    max_repeats: int = Field(default=3, ge=0, le=100)
    """How often the best configurations are fitted again, from other seeds, when there is time left."""


class AutoFamily(ModelFamily):
    """A portfolio of configurations in the order of what they are likely to gain per second, each fitted over the same
    folds, then combined by greedy selection (Erickson et al. 2020, arXiv:2003.06505, for bagging and stacking within a
    budget; Caruana et al. 2004 for the selection).

    It always gives a model: the best so far when the time is over, and the mean of the target where there was no time
    for anything. With the same seed it gives the same model only where the budget does not cut it short.

    Args:
        families: of the candidates, by name.
    """

    name: ClassVar[str] = "auto"

    def __init__(self, families: Mapping[str, ModelFamily]) -> None:
        self._families = dict(families)

    def check(self, spec: ModelSpec, task: str) -> None:
        """Checks the parameters, see ModelFamily."""
        _checked(spec)

    def fit(self, spec: ModelSpec, data: FitData, context: FitContext) -> FittedModel:
        """Fits until the budget is spent, see ModelFamily."""
        wanted, params = _checked(spec)
        budget = Budget(_budget_s(wanted, context))
        features_of(data.schema)
        pool = Pool.of(data)
        folds = folds_of(pool, params.n_folds or default_folds(len(pool)), context.seed)
        context.observer.progress(0.0, budget.total_s)
        search = Search(pool, folds, self._families, context, budget, params.max_repeats)
        search.run(portfolio(pool.schema, Shape.of(pool), frozenset(params.exclude)))
        members = usable(search.members)
        if not members:
            _raise_if_data(search)
            fitted = _constant(pool, search)
        else:
            options = GreedyOptions(deadline=search.combined_by())
            found = stack(pool, members, Combining("greedy", context.seed, options))
            described = {
                "n_folds": len(folds),
                "members": {member.name: dict(member.params()) for member in members if member.is_complete},
            }
            fitted = FittedModel(found.predictor, described, _facts(search), found.held_out, _notes(search))
        context.observer.progress(1.0, 0.0)
        return fitted


def _checked(spec: ModelSpec) -> tuple[AutoSpec, AutoParams]:
    if not isinstance(spec, AutoSpec):
        raise TypeError(f"the auto family takes an AutoSpec, not {type(spec).__name__}")
    params: AutoParams = check_params(AutoParams, spec.params, "auto")
    for place, name in enumerate(params.exclude):
        if name not in names():
            raise SpecError.at(f"model.params.exclude.{place}", name, f"no such configuration{nearest(name, names())}")
    if set(params.exclude) == set(names()):
        raise SpecError.at("model.params.exclude", params.exclude, "nothing is left to try")
    return spec, params


def _budget_s(spec: AutoSpec, context: FitContext) -> float:
    """What the spec says, but no longer than the job's own budget lasts."""
    left_s = None if context.deadline is None else max(1e-3, context.deadline - time.monotonic())
    if spec.time_budget_s is None:
        return DEFAULT_BUDGET_S if left_s is None else left_s
    return spec.time_budget_s if left_s is None else min(spec.time_budget_s, left_s)


def _raise_if_data(search: Search) -> None:
    """A column that no model can read is the caller's to know."""
    for member in search.members:
        if isinstance(member.error, DataError):
            raise member.error


def _constant(pool: Pool, search: Search) -> FittedModel:
    """The mean of the target, or the frequencies of the classes with one row more of each."""
    rows = pool.rows
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    classes = len(pool.schema.classes)
    if classes:
        counts = np.bincount(rows.target.astype(np.int64), weights=weight, minlength=classes) + 1.0
        values = (counts / counts.sum()).tolist()
    else:
        values = [float(np.average(rows.target, weights=weight))]
    predictor = ConstantPredictor(values, num_classes=classes)
    missing = tuple(
        Member(member.name, None, member.fit_s, None, reason_of(member.error) if member.error else TIME_OVER)
        for member in search.members
    )
    held = HeldOut(rows.target, rows.weight, predictor.predict(rows.frame), missing, pool.structure)
    note = "no model could be fitted within the time and the memory: every row gets the same score"
    return FittedModel(predictor, {"constant": True}, _facts(search), held, (note, *_notes(search)))


def _facts(search: Search) -> dict[str, float]:
    complete = sum(member.is_complete for member in search.members)
    return {"members_tried": float(len(search.members)), "members_complete": float(complete)}


def _notes(search: Search) -> tuple[str, ...]:
    left_out = [member.name for member in search.members if not member.is_complete]
    told = tuple(note for member in search.members for note in member.notes())
    if not left_out:
        return told
    return (f"within {search.budget.total_s:.0f} s these were not fitted, or failed: {', '.join(left_out)}", *told)
