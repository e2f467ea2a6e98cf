"""The search for hyperparameters. What runs trials is in `study`, which brings in Ray Tune; the rest is light."""

from training.tuning.objective import Goal, is_maximized, pareto_front
from training.tuning.plan import StudyPlan, plan_study
from training.tuning.space import Space

__all__ = ["Goal", "Space", "StudyPlan", "is_maximized", "pareto_front", "plan_study"]
