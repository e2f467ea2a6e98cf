"""The strategy stack: members over folds, combined by their out-of-fold scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from training.models.base import FitContext, FitData, FittedModel
from training.models.combining import GreedyOptions
from training.models.hybrid_params import NamedMember, StackParams
from training.models.members import Combining, FoldedModel, default_folds, reason_of, stack
from training.models.parallel import FitTask, runner_of
from training.models.pool import Fold, Pool, folds_of

logger = logging.getLogger("training")


def fit_stack(members: Sequence[NamedMember], params: StackParams, data: FitData, context: FitContext) -> FittedModel:
    """Fits every member once per fold and combines them.

    Raises:
        DataError: too few rows for folds.
        FitError: no member could be fitted.
        JobCancelledError: the observer asked for it.
    """
    pool = Pool.of(data)
    folds = folds_of(pool, params.n_folds or default_folds(len(pool)), context.seed)
    folded = fit_members(members, folds, pool, context)
    found = stack(pool, folded, Combining(params.combiner, context.seed, GreedyOptions(bags=params.n_bags)))
    for member in found.held_out.members:
        what = f"share {member.share:.2f}" if member.share is not None else f"missing: {member.error}"
        logger.info("stack: %s, %.1f s, %s", member.name, member.fit_s, what)
    context.observer.progress(1.0, 0.0)
    described = {"strategy": "stack", "combiner": params.combiner, "n_folds": len(folds), "members": {
        member.name: dict(member.params()) for member in folded
    }}  # fmt: skip
    shares = {f"share_{member.name.replace(' #', '_')}": member.share for member in found.held_out.members}
    facts = {"num_folds": float(len(folds))} | {name: share for name, share in shares.items() if share is not None}
    return FittedModel(found.predictor, described, facts, found.held_out, _notes(folded))


def fit_members(
    members: Sequence[NamedMember], folds: Sequence[Fold], pool: Pool, context: FitContext
) -> list[FoldedModel]:
    """Fits each member once per fold; what is left of the time is shared equally among the fits."""
    runner = runner_of(context)
    tasks, places = [], []
    for number, member in enumerate(members):
        for place, fold in enumerate(folds):
            seed = int(np.random.SeedSequence([context.seed, number, place]).generate_state(1)[0])
            gpus = context.gpus if member.spec.family == "torch" else 0
            tasks.append(FitTask(member.family, member.spec, fold, seed, cpus=runner.cpus, gpus=gpus))
            places.append((number, place))
    folded = [FoldedModel(member.name, folds) for member in members]
    for done, (task, outcome) in enumerate(runner.run(pool, tasks, context.observer, context.deadline), start=1):
        number, place = places[task]
        folded[number].outcomes[place] = outcome
        logger.info(
            "fold %d of %s: %.1f s (%d of %d)", place + 1, members[number].name, outcome.fit_s, done, len(tasks)
        )
    return folded


def _notes(folded: Sequence[FoldedModel]) -> tuple[str, ...]:
    missing = [f"{member.name} is missing: {reason_of(member.error)}" for member in folded if member.error is not None]
    return (*missing, *(note for member in folded for note in member.notes()))
