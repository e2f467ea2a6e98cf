"""Model families: what turns rows into a predictor.

`training.models.families` has all of them, and imports what they need; this imports next to nothing, for the processes
of workers that fit one of them.
"""

from training.models.base import FitContext, FitData, FittedModel, HeldOut, Member, ModelFamily, Stage, Structure

__all__ = ["FitContext", "FitData", "FittedModel", "HeldOut", "Member", "ModelFamily", "Stage", "Structure"]
