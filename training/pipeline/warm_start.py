"""What a search begins with: the best configurations of earlier ones."""

from __future__ import annotations

from typing import Any

from training.errors import SpecError
from training.registry import Registry
from training.spec import TrainSpec
from training.tuning import StudyPlan

EARLIER_STUDIES, EARLIER_TRIALS = 2, 2
"""The best few trials of the newest few studies."""


def earlier_configs(registry: Registry, spec: TrainSpec, plan: StudyPlan) -> list[dict[str, Any]]:
    """The best configurations of earlier studies that lie in this space, to begin with.

    Raises:
        SpecError: `tune.warm_start_from` names no study with such a configuration.
    """
    if not plan.tune.warm_start:
        return []
    named = plan.tune.warm_start_from
    found: list[dict[str, Any]] = []
    is_known = False
    for rows in registry.studies(named or spec.name)[:EARLIER_STUDIES]:
        done = [row for row in rows if plan.goal.has_values(row.values)]
        usable = [row for row in done if plan.space.fits(row.params)]
        # of a study that completed the default alone there is nothing to begin with but what is begun with anyway
        is_known = is_known or bool(usable) or (bool(done) and not any(row.params for row in done))
        ranked = sorted(usable, key=lambda row: (plan.goal.rank(row.values), -row.number), reverse=True)
        fresh = [row.params for row in ranked if row.params and row.params not in found]
        found += fresh[:EARLIER_TRIALS]
    if named is not None and not is_known:
        message = "no trials of such a job or model lie in the space of this search"
        hint = "Name a job with a search, or a model, of the same family, or leave it out."
        raise SpecError.at("tune.warm_start_from", named, message, hint=hint)
    return found[: max(0, plan.tune.num_trials - 1)]
