"""The strategy residual: a net learns what is to be added to the margin of boosted trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.models.base import FitContext, FitData, FittedModel
from training.models.hybrid_pair import PairFit, learnt_rows
from training.models.hybrid_params import NamedMember, ResidualParams
from training.models.members import held_positions
from training.models.torch_params import check_params
from training.mts_scoring.residual_predictor import ResidualPredictor, margin_of
from training.mts_scoring.stack_predictor import mean_scores
from training.mts_scoring.torch_predictor import TorchPredictor
from training.spec import TorchSpec


def fit_residual(
    members: Sequence[NamedMember], params: ResidualParams, data: FitData, context: FitContext
) -> FittedModel:
    """Fits trees over folds of the train rows, then a net whose output is added to their out-of-fold margin.

    The margin of a row comes from trees that did not learn from it (as in stacking, Wolpert 1992,
    doi:10.1016/S0893-6080(05)80023-1): on their own rows trees leave residuals that are far too small. At scoring the
    margin is that of the mean over the folds.

    Raises:
        DataError: too few rows for folds.
        FitError: trees or net could not be fitted.
        JobCancelledError: the observer asked for it.
    """
    from training.models.torch_fitting import Margins, fit_networks  # noqa: PLC0415 - imports PyTorch, see torch_model

    pair = PairFit.begin(members, data, context)
    parents = pair.parents()
    folded, pool, folds = pair.trees_over_folds(pair.trees, params.n_folds)
    trees = folded.predictors()
    held = held_positions(folds)
    rows, scores = learnt_rows(pool.rows, held, folded.scores(len(pool), held))
    validation = None
    if data.validation is not None and len(data.validation):
        validation = margin_of(mean_scores(trees, data.validation.frame))
    spec = pair.net.spec
    if not isinstance(spec, TorchSpec):
        raise TypeError(f"the net is a TorchSpec, not {type(spec).__name__}")
    fitted = fit_networks(
        spec.architecture,
        check_params(spec.architecture, spec.params, data.schema.task),
        FitData(data.schema, rows, data.validation),
        pair.net_context(),
        Margins(margin_of(scores), validation),
    )
    network = fitted.predictor
    if not isinstance(network, TorchPredictor):
        raise TypeError(f"networks score as a TorchPredictor, not as {type(network).__name__}")
    predictor = ResidualPredictor(trees, network)
    context.observer.progress(1.0, 0.0)
    described = {"strategy": "residual", "trees": dict(folded.params()), "net": dict(fitted.params)}
    facts = {"num_folds": float(len(folds))} | dict(fitted.facts)
    rounds = [
        outcome.fitted.facts["rounds"] for outcome in folded.outcomes.values()
        if outcome.fitted and "rounds" in outcome.fitted.facts
    ]  # fmt: skip
    if rounds:
        facts["rounds"] = float(np.mean(rounds))
    return FittedModel(predictor, described, facts, pair.held_out(predictor, parents), fitted.notes)
