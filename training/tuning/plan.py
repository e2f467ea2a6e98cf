"""Checks the `tune` part of a spec against the family and the task, and fills in what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.errors import SpecError
from training.evaluation import primary_metric
from training.spec import Choice, ParameterSpec, TrainSpec, TuneSpec
from training.spec.tune import Scheduler
from training.tuning.default_spaces import default_space, known_starts
from training.tuning.members import MEMBER, canonical, is_blended, owner_of, searched_members
from training.tuning.objective import Constraint, Goal
from training.tuning.plan_problems import (
    can_report,
    changeable,
    condition_problems,
    metric_problems,
    of_member,
    parameter_problems,
    plain_problems,
    scheduler_problems,
    space_problems,
)  # fmt: skip
from training.tuning.space import Space


@dataclass(frozen=True)
class StudyPlan:
    """A search with everything decided but the rows."""

    tune: TuneSpec
    space: Space
    goal: Goal
    scheduler: Scheduler
    starts: tuple[Mapping[str, Any], ...] = ({},)
    """Default configurations, which are tried first: one, or of a stack one for each member."""
    known: tuple[Mapping[str, Any], ...] = ()
    """Tried next, where no earlier study tells what is good."""


def plan_study(spec: TrainSpec, task: str) -> StudyPlan:
    """Checks the spec's search for a task of this kind.

    Raises:
        SpecError: names the field below `tune`, the value, and the remedy.
    """
    tune = spec.tune
    if tune is None:
        raise ValueError("the spec has no search")
    problems = [*metric_problems(tune, task), *condition_problems(spec, task), *parameter_problems(spec, task)]
    if not problems:
        problems = [*plain_problems(spec)]
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    space = space_of(spec, task)
    problems = [*scheduler_problems(spec), *space_problems(tune, space)]
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    objectives = tuple(tune.objectives) or (tune.metric or spec.promotion.metric or primary_metric(task),)
    goal = Goal(objectives, tuple(Constraint.parse(text) for text in tune.constraints))
    starts: tuple[Mapping[str, Any], ...] = ({},)
    if is_blended(spec.model):
        starts = tuple({MEMBER: label} for label in searched_members(spec.model, task))[: tune.num_trials]
    known = () if tune.searcher in {"grid", "random"} else tuple(known_starts(spec.model, space, tune.num_trials))
    return StudyPlan(tune, space, goal, tune.scheduler or _default_scheduler(spec), starts, known)


def space_of(spec: TrainSpec, task: str) -> Space:
    """The parameters that are searched, those that others depend on first.

    The family's own, without those that `model.params` fixes, with those of the spec. A grid has the spec's alone.

    Raises:
        SpecError: parameters depend on each other in a circle, or one is there by two names.
    """
    tune, fixed = spec.tune or TuneSpec(), spec.model.params
    own, members = default_space(spec.model, task), searched_members(spec.model, task)
    named = {name: canonical(spec.model, members, name) for name in (*fixed, *tune.search_space)}
    parameters: dict[str, ParameterSpec] = {}
    if tune.searcher != "grid":
        parameters = {name: parameter for name, parameter in own.parameters.items() if name not in named.values()}
        if tune.scheduler == "pbt":
            parameters = {name: parameters[name] for name in parameters if name in changeable(spec)}
    elif is_blended(spec.model):
        owners = [label for label in members if any(owner_of(name)[0] == label for name in tune.search_space)]
        parameters[MEMBER] = Choice(type="choice", values=owners or list(members))
    for name, parameter in tune.search_space.items():
        twin = next((other for other in tune.search_space if other < name and named[other] == named[name]), None)
        if twin is not None:
            message = f"the same parameter as {twin}; name one of them"
            raise SpecError.at(f"tune.search_space.{name}", name, message)
        parameters[name] = of_member(spec.model, name, parameter)
    defaults = {**own.defaults, **fixed}
    defaults |= {name: defaults[known] for name, known in named.items() if name not in defaults and known in defaults}
    return Space(_in_order(parameters), defaults)


def _in_order(parameters: Mapping[str, ParameterSpec]) -> dict[str, ParameterSpec]:
    """Those that others depend on first.

    Raises:
        SpecError: there is no such order.
    """
    ordered: dict[str, ParameterSpec] = {}
    while len(ordered) < len(parameters):
        ready = [
            name
            for name, parameter in parameters.items()
            if name not in ordered and not (set(parameter.when or {}) & (parameters.keys() - ordered.keys()))
        ]
        if not ready:
            circle = [name for name in parameters if name not in ordered]
            message = f"{', '.join(circle)} depend on each other in a circle; leave one of the conditions out"
            raise SpecError.at(f"tune.search_space.{circle[0]}.when", circle[0], message)
        ordered |= {name: parameters[name] for name in ready}
    return ordered


def _default_scheduler(spec: TrainSpec) -> Scheduler:
    tune = spec.tune or TuneSpec()
    # a curve says nothing of further objectives, nor of what a constraint is about
    return "asha" if can_report(spec) and len(tune.objectives) < 2 and not tune.constraints else "none"
