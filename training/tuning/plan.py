"""Checks the `tune` part of a spec against the family and the task, and fills in what it leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.errors import Problem, SpecError, nearest, shown
from training.evaluation import primary_metric
from training.models import family_of
from training.spec import Choice, ParameterSpec, TrainSpec, TuneSpec
from training.spec.tune import Scheduler
from training.tuning.default_spaces import default_space
from training.tuning.objective import Constraint, Goal, known_objectives
from training.tuning.space import Space


@dataclass(frozen=True)
class StudyPlan:
    """A search with everything decided but the rows."""

    tune: TuneSpec
    space: Space
    goal: Goal
    scheduler: Scheduler


def plan_study(spec: TrainSpec, task: str) -> StudyPlan:
    """Checks the spec's search for a task of this kind.

    Raises:
        SpecError: names the field below `tune`, the value, and the remedy.
    """
    tune = spec.tune
    if tune is None:
        raise ValueError("the spec has no search")
    problems = [*_metric_problems(tune, task), *_condition_problems(spec), *_parameter_problems(spec, task)]
    if not problems:
        problems = [*_plain_problems(spec)]
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    space = space_of(spec, task)
    problems = [*_space_problems(tune, space), *_scheduler_problems(spec)]
    if problems:
        raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)
    objectives = tuple(tune.objectives) or (tune.metric or spec.promotion.metric or primary_metric(task),)
    goal = Goal(objectives, tuple(Constraint.parse(text) for text in tune.constraints))
    return StudyPlan(tune, space, goal, tune.scheduler or _default_scheduler(spec))


def space_of(spec: TrainSpec, task: str) -> Space:
    """The parameters that are searched, those that others depend on first.

    The family's own, without those that `model.params` fixes, with those of the spec. A grid has the spec's alone.
    """
    tune, fixed = spec.tune or TuneSpec(), spec.model.params
    own = default_space(spec.model, task)
    parameters: dict[str, ParameterSpec] = {}
    if tune.searcher != "grid":
        parameters = {name: parameter for name, parameter in own.parameters.items() if name not in fixed}
    parameters |= tune.search_space
    ordered: dict[str, ParameterSpec] = {}
    while len(ordered) < len(parameters):
        ready = [
            name
            for name, parameter in parameters.items()
            if name not in ordered and not (set(parameter.when or {}) & (parameters.keys() - ordered.keys()))
        ]
        ordered |= {name: parameters[name] for name in ready}
    return Space(ordered, {**own.defaults, **fixed})


def _metric_problems(tune: TuneSpec, task: str) -> Iterator[Problem]:
    known = known_objectives(task)
    named = [("tune.metric", tune.metric)] if tune.metric is not None else []
    named += [("tune.objectives", name) for name in tune.objectives]
    named += [("tune.constraints", Constraint.parse(text).metric) for text in tune.constraints]
    for field, name in named:
        if name not in known:
            yield Problem(field, name, f"no metric of a {task} task{nearest(str(name), known)}")


def _condition_problems(spec: TrainSpec) -> Iterator[Problem]:
    """Conditions on parameters that are neither searched nor fixed, or on values that they never have."""
    tune = spec.tune or TuneSpec()
    searched = tune.search_space
    for name, parameter in searched.items():
        for other, wanted in (parameter.when or {}).items():
            field = f"tune.search_space.{name}.when.{other}"
            if other == name or name in (searched[other].when or {} if other in searched else {}):
                yield Problem(field, shown(wanted), "a parameter cannot depend on itself")
            elif other in searched:
                target = searched[other]
                values = wanted if isinstance(wanted, list) else [wanted]
                missing = [value for value in values if isinstance(target, Choice) and value not in target.values]
                if missing:
                    yield Problem(field, shown(missing[0]), f"{other} never has this value{nearest(str(missing[0]), map(str, target.values if isinstance(target, Choice) else []))}")  # fmt: skip # noqa: E501
            elif other not in default_space(spec.model, "binary").defaults and other not in spec.model.params:
                yield Problem(field, shown(wanted), f"no parameter of the search{nearest(other, searched)}")


def _parameter_problems(spec: TrainSpec, task: str) -> Iterator[Problem]:
    """Has the family check each parameter at both ends of its range, or at each of its values."""
    tune, family = spec.tune or TuneSpec(), family_of(spec.model)
    for name, parameter in tune.search_space.items():
        values = parameter.values if isinstance(parameter, Choice) else [parameter.low, parameter.high]
        for value in values:
            params = {**spec.model.params, **_conditions(parameter), name: value}
            try:
                family.check(spec.model.model_copy(update={"params": params}), task)
            except SpecError as error:
                yield from _renamed(error, name, value)
                break


def _conditions(parameter: ParameterSpec) -> Mapping[str, Any]:
    """Values with which the parameter is searched."""
    wanted = parameter.when or {}
    return {other: value[0] if isinstance(value, list) else value for other, value in wanted.items()}


def _renamed(error: SpecError, name: str, value: Any) -> Iterator[Problem]:
    """The family's problems with one parameter, under the field of the search."""
    for problem in error.problems:
        if problem.field.startswith(f"model.params.{name}"):
            yield Problem(f"tune.search_space.{name}", shown(value), problem.message)
        else:
            yield Problem(problem.field, problem.value, problem.message)


def _plain_problems(spec: TrainSpec) -> Iterator[Problem]:
    tune = spec.tune or TuneSpec()
    if tune.warm_start_from is not None and not tune.warm_start:
        yield Problem("tune.warm_start_from", tune.warm_start_from, "warm_start is false; leave one of them out")
    if tune.folds is not None and spec.split.strategy == "predefined":
        message = "split.column says which rows judge a model, and folds would take others; leave folds out"
        yield Problem("tune.folds", tune.folds, message)
    if spec.resources.max_workers > 1:
        message = "the trials of a search run on one worker each, side by side; set it to 1"
        yield Problem("resources.num_workers", shown(spec.resources.num_workers), message)


def _space_problems(tune: TuneSpec, space: Space) -> Iterator[Problem]:
    if not space.parameters:
        yield Problem("tune.search_space", {}, "there is nothing to search: name at least one parameter")
    if tune.searcher == "grid":
        endless = [name for name, parameter in space.parameters.items() if _has_no_levels(parameter)]
        for name in endless:
            message = "a grid needs a range with step, without log, or a choice of values"
            yield Problem(f"tune.search_space.{name}", None, message)
        if not endless and space.grid_size() > tune.num_trials:
            size = sum(1 for _ in space.grid()) if space.grid_size() <= 10 * tune.num_trials else space.grid_size()
            if size > tune.num_trials:
                message = f"the grid has {size} points and the search {tune.num_trials} trials; raise num_trials"
                yield Problem("tune.num_trials", tune.num_trials, message)
    if tune.searcher in {"cmaes", "hyperopt"} and len(tune.objectives) > 1:
        yield Problem("tune.searcher", tune.searcher, "optimises one objective; use tpe, random or grid for several")


def _has_no_levels(parameter: ParameterSpec) -> bool:
    return not isinstance(parameter, Choice) and (parameter.log or (parameter.type == "float" and not parameter.step))


def _can_report(spec: TrainSpec) -> bool:
    return (spec.tune is not None and spec.tune.folds is not None) or family_of(spec.model).reports_steps(spec.model)


def _scheduler_problems(spec: TrainSpec) -> Iterator[Problem]:
    tune = spec.tune or TuneSpec()
    scheduler = tune.scheduler
    if scheduler in {None, "none"}:
        return
    field = "tune.scheduler"
    if len(tune.objectives) > 1:
        yield Problem(field, scheduler, "ends trials by one metric; with several objectives use none")
    elif not _can_report(spec):
        model = getattr(spec.model, "estimator", spec.model.family)
        message = f"cannot drive {model}, which does not tell how it does while it learns; use none, or set folds"
        yield Problem(field, scheduler, message)


def _default_scheduler(spec: TrainSpec) -> Scheduler:
    tune = spec.tune or TuneSpec()
    return "asha" if _can_report(spec) and len(tune.objectives) < 2 else "none"
