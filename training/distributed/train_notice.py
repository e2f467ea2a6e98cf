"""A node of a run is to go, and says so before: until then there are more checkpoints, so that less is lost."""

from __future__ import annotations

from ray.train.v2._internal.execution.context import get_train_context

NOTICED_EVERY_S = 5.0
"""Between checkpoints from the notice on. Clouds give half a minute to two; a usual interval may be all of that."""


def interval_s(usual_s: float) -> float:
    """Seconds between two checkpoints of this worker's run."""
    # what this worker was told: `ray.train.get_preemption_info` would make all of them wait for one another each time
    noticed = get_train_context().preemption_context.preemption_info is not None
    return min(usual_s, NOTICED_EVERY_S) if noticed else usual_s
