"""The main job, end to end: load, check, fit, evaluate, register, gate."""

from training.pipeline.evaluate import evaluate_model
from training.pipeline.plan import Plan, check_ahead, plan
from training.pipeline.registered import registered
from training.pipeline.reproduce import reproduce
from training.pipeline.train import run
from training.pipeline.workplace import Workplace

__all__ = ["Plan", "Workplace", "check_ahead", "evaluate_model", "plan", "registered", "reproduce", "run"]
