"""A search over the members of a hybrid: which parameters are whose, and the model that a configuration stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.errors import Problem, nearest, shown
from training.models.families import FAMILIES
from training.models.hybrid_params import PARAMS, members_of
from training.spec import HybridSpec, MemberSpec, ModelSpec

MEMBER = "member"
"""The parameter of a search over a stack that says which member a trial fits."""


def searched_members(model: ModelSpec, task: str) -> dict[str, MemberSpec]:
    """The members of a hybrid by label, in their order; of other families none.

    Raises:
        SpecError: the members do not suit the strategy.
    """
    if not isinstance(model, HybridSpec):
        return {}
    return {member.name: member.spec for member in members_of(model, task, FAMILIES)}


def is_blended(model: ModelSpec) -> bool:
    """Whether each trial of a search fits one member, and the best of them are combined afterwards: a stack."""
    return isinstance(model, HybridSpec) and model.strategy == "stack"


def owner_of(name: str) -> tuple[str, str]:
    """Label of the member, and its parameter; "" where the parameter is the model's own."""
    label, dot, parameter = name.partition(".")
    return (label, parameter) if dot else ("", name)


def canonical(model: ModelSpec, members: Mapping[str, MemberSpec], name: str) -> str:
    """The searched parameter by the name that its family has for it, where it may be given by another."""
    label, parameter = owner_of(name)
    if label in members:
        return f"{label}.{FAMILIES[members[label].family].canonical(parameter)}"
    return FAMILIES[model.family].canonical(name)


def _with_params(model: MemberSpec | ModelSpec, config: Mapping[str, Any]) -> Any:
    """The model with values in place of its own, by whatever name those were given."""
    family = FAMILIES[model.family]
    changed = {family.canonical(name) for name in config}
    kept = {name: value for name, value in model.params.items() if family.canonical(name) not in changed}
    return model.model_copy(update={"params": {**kept, **config}})


def model_with(model: ModelSpec, task: str, config: Mapping[str, Any]) -> ModelSpec:
    """The model with a trial's values: of a stack the one member that the trial fits, of other hybrids the pair."""
    if not isinstance(model, HybridSpec):
        changed: ModelSpec = _with_params(model, config)
        return changed
    members = searched_members(model, task)
    told: dict[str, dict[str, Any]] = {label: {} for label in ("", *members)}
    for name, value in config.items():
        label, parameter = owner_of(name)
        told[label][parameter] = value
    if is_blended(model):
        label = config.get(MEMBER, next(iter(members)))
        fitted: ModelSpec = _with_params(members[label], told[label])
        return fitted
    pair = [_with_params(member, told[label]) for label, member in members.items()]
    return model.model_copy(update={"members": pair, "params": {**model.params, **told[""]}})


def naming_problem(model: ModelSpec, task: str, name: str, value: Any) -> Problem | None:
    """What is wrong with the name of a searched parameter of a hybrid, so far as it says whose it is."""
    if not isinstance(model, HybridSpec) or name == MEMBER:
        return None
    field, members = f"tune.search_space.{name}", searched_members(model, task)
    label, _ = owner_of(name)
    if label and label not in members:
        return Problem(field, shown(value), f"no member is called {label}{nearest(label, members)}")
    if not label and is_blended(model):
        example = f"{next(iter(members))}.learning_rate"
        return Problem(field, shown(value), f"a parameter of a member is named with it, such as {example}")
    if not label and name not in PARAMS[model.strategy].model_fields:
        known = [*PARAMS[model.strategy].model_fields, *(f"{member}.{name}" for member in members)]
        return Problem(field, shown(value), f"{model.strategy} has no such parameter{nearest(name, known)}")
    return None
