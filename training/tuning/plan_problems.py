"""What cannot be searched: names, values and conditions that do not suit the family, the task or the searcher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from training.errors import Problem, SpecError, nearest, shown
from training.models.families import family_of
from training.spec import Choice, ModelSpec, ParameterSpec, TrainSpec, TuneSpec
from training.tuning.default_spaces import default_space
from training.tuning.members import MEMBER, is_blended, model_with, naming_problem, owner_of
from training.tuning.objective import Constraint, known_objectives
from training.tuning.space import Space, holds


def of_member(model: ModelSpec, name: str, parameter: ParameterSpec) -> ParameterSpec:
    """A parameter of a member of a stack is searched in trials of that member only."""
    label, _ = owner_of(name)
    if not label or not is_blended(model):
        return parameter
    return parameter.model_copy(update={"when": {MEMBER: label, **(parameter.when or {})}})


def metric_problems(tune: TuneSpec, task: str) -> Iterator[Problem]:
    """Metrics, objectives and constraints that the task does not have."""
    known = known_objectives(task)
    named = [("tune.metric", tune.metric)] if tune.metric is not None else []
    named += [("tune.objectives", name) for name in tune.objectives]
    named += [("tune.constraints", Constraint.parse(text).metric) for text in tune.constraints]
    for field, name in named:
        if name not in known:
            yield Problem(field, name, f"no metric of a {task} task{nearest(str(name), known)}")


def condition_problems(spec: TrainSpec, task: str) -> Iterator[Problem]:
    """Conditions on parameters that are neither searched nor fixed, or on values that they never have."""
    tune, own = spec.tune or TuneSpec(), default_space(spec.model, task)
    searched = tune.search_space
    targets = {name: one for name, one in own.parameters.items() if name not in spec.model.params} | searched
    known = {**own.defaults, **spec.model.params}
    for name, parameter in searched.items():
        for other, wanted in (parameter.when or {}).items():
            field = f"tune.search_space.{name}.when.{other}"
            values = wanted if isinstance(wanted, list) else [wanted]
            if other == name:
                yield Problem(field, shown(wanted), "a parameter cannot depend on itself")
            elif other in targets:
                yield from (
                    _never(field, other, targets[other], value) for value in values if not holds(targets[other], value)
                )
            elif other not in known:
                yield Problem(field, shown(wanted), f"no parameter of the search{nearest(other, targets)}")
            elif known[other] not in values:
                yield Problem(
                    field, shown(wanted), f"{other} is {known[other]!r}, and is not searched; name it in the space"
                )


def _never(field: str, other: str, target: ParameterSpec, value: Any) -> Problem:
    if isinstance(target, Choice):
        return Problem(
            field, shown(value), f"{other} never has this value{nearest(str(value), map(str, target.values))}"
        )
    return Problem(field, shown(value), f"{other} never has this value; it goes from {target.low} to {target.high}")


def parameter_problems(spec: TrainSpec, task: str) -> Iterator[Problem]:
    """Has the family check each parameter at both ends of its range, or at each of its values."""
    tune = spec.tune or TuneSpec()
    for name, parameter in tune.search_space.items():
        values = parameter.values if isinstance(parameter, Choice) else [parameter.low, parameter.high]
        misnamed = naming_problem(spec.model, task, name, values[0])
        if misnamed is not None:
            yield misnamed
            continue
        for value in values:
            config = {**_conditions(of_member(spec.model, name, parameter)), name: value}
            try:
                model = model_with(spec.model, task, config)
                family_of(model).check(model, task)
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
        if f"params.{owner_of(name)[1]}" in problem.field:
            yield Problem(f"tune.search_space.{name}", shown(value), problem.message)
        else:
            yield Problem(problem.field, problem.value, problem.message)


def plain_problems(spec: TrainSpec) -> Iterator[Problem]:
    """Fields that do not go together."""
    tune = spec.tune or TuneSpec()
    if tune.warm_start_from is not None and not tune.warm_start:
        yield Problem("tune.warm_start_from", tune.warm_start_from, "warm_start is false; leave one of them out")
    if tune.folds is not None and spec.split.strategy == "predefined":
        message = "split.column says which rows judge a model, and folds would take others; leave folds out"
        yield Problem("tune.folds", tune.folds, message)
    if not isinstance(spec.resources.num_workers, int):
        message = "every trial of a search has the same number of workers; give one number"
        yield Problem("resources.num_workers", shown(spec.resources.num_workers), message)


def space_problems(tune: TuneSpec, space: Space) -> Iterator[Problem]:
    """What the searcher cannot do with the space."""
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


def can_report(spec: TrainSpec) -> bool:
    """Whether trials tell how they do before their end."""
    if spec.resources.max_workers > 1:
        return False
    return (spec.tune is not None and spec.tune.folds is not None) or family_of(spec.model).reports_steps(spec.model)


def scheduler_problems(spec: TrainSpec) -> Iterator[Problem]:
    """A scheduler that cannot drive the family."""
    tune = spec.tune or TuneSpec()
    scheduler = tune.scheduler
    if scheduler in {None, "none"}:
        return
    field = "tune.scheduler"
    if scheduler == "pbt":
        yield from _population_problems(spec)
        return
    if len(tune.objectives) > 1:
        yield Problem(field, scheduler, "ends trials by one metric; with several objectives use none")
    elif spec.resources.max_workers > 1:
        message = "cannot end a fit that is spread over workers; use none, or set resources.num_workers to 1"
        yield Problem(field, scheduler, message)
    elif not can_report(spec):
        model = getattr(spec.model, "estimator", spec.model.family)
        message = f"cannot drive {model}, which does not tell how it does while it learns; use none, or set folds"
        yield Problem(field, scheduler, message)


def changeable(spec: TrainSpec) -> frozenset[str]:
    """Parameters that pbt can search."""
    return family_of(spec.model).changeable(spec.model)


def _population_problems(spec: TrainSpec) -> Iterator[Problem]:
    """What does not go with pbt."""
    tune, names = spec.tune or TuneSpec(), changeable(spec)
    field = "tune.scheduler"
    if not names:
        message = f"cannot drive {spec.model.family}, whose weights no other trial can go on from; use asha or none"
        yield Problem(field, "pbt", message)
        return
    if spec.resources.max_workers > 1:
        yield Problem(field, "pbt", "drives fits of one worker; set resources.num_workers to 1, or use none")
    if len(tune.objectives) > 1:
        yield Problem(field, "pbt", "compares trials by one metric; with several objectives use none")
    if tune.folds is not None:
        yield Problem("tune.folds", tune.folds, "the scheduler pbt measures on the validation rows; leave folds out")
    if tune.searcher == "grid":
        yield Problem("tune.searcher", "grid", "the scheduler pbt changes values on the way; use tpe or random")
    if tune.stop.patience is not None or tune.stop.below_noise:
        message = "the scheduler pbt trains all trials side by side; use stop.target, or a time budget"
        yield Problem("tune.stop", "patience" if tune.stop.patience else "below_noise", message)
    for name in tune.search_space:
        if name not in names:
            message = f"cannot change while a network trains; pbt searches {', '.join(sorted(names))}"
            yield Problem(f"tune.search_space.{name}", name, message)
