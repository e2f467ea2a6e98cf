"""The parameters of the hybrid family, by strategy, and its members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from training.errors import Problem, SpecError, shown
from training.models.base import ModelFamily
from training.spec import HybridSpec, MemberSpec, SklearnSpec, SpecModel, TorchSpec, XGBoostSpec
from training.spec.model import HybridStrategy
from training.spec.parsing import spec_problems

RESERVED = {
    "random_state": "set split.seed instead",
    "seed": "set split.seed instead",
    "n_jobs": "set resources.cpus_per_worker instead",
    "device": "set resources.gpus_per_worker instead",
}


class StackParams(SpecModel):
    """Of the strategy stack."""

    n_folds: int | None = Field(default=None, ge=2, le=20)
    """Folds; each member is fitted once for each. Default: 8 for few rows, down to 3 for very many."""
    combiner: Literal["greedy", "linear"] = "greedy"
    """greedy: ensemble selection with bagging. linear: a logarithmic pool for classes, ridge regression for values."""
    n_bags: int = Field(default=12, ge=1, le=200)
    """Runs of the greedy selection, each over some of the members."""


PARAMS: dict[HybridStrategy, type[StackParams]] = {"stack": StackParams}


@dataclass(frozen=True)
class NamedMember:
    """A member, its family, and a name that no other member has."""

    name: str
    spec: MemberSpec
    family: ModelFamily


def check_params(kind: type[SpecModel], given: Mapping[str, Any], what: str) -> Any:
    """The parameters as `kind`.

    Raises:
        SpecError: one problem for each parameter at fault.
    """
    problems = [
        Problem(f"model.params.{name}", shown(value), f"reserved: {RESERVED[name]}")
        for name, value in given.items()
        if name in RESERVED
    ]
    if not problems:
        try:
            return kind.model_validate(dict(given))
        except ValidationError as error:
            problems = [
                Problem(
                    f"model.params.{problem.field}",
                    shown(given.get(problem.field.split(".")[0])),
                    problem.message.replace("unknown field", f"{what} has no such parameter"),
                )
                for problem in spec_problems(kind, dict(given), error)
            ]
    raise SpecError(f"{problems[0].field}: {problems[0].message}", problems=problems)


def members_of(spec: HybridSpec, task: str, families: Mapping[str, ModelFamily]) -> list[NamedMember]:
    """The members with their families, checked.

    Raises:
        SpecError: too few members, or of the wrong families for the strategy, or a member's own fault.
    """
    members = list(spec.members) or default_members(spec.strategy, task)
    wanted = None if spec.strategy == "stack" else ["xgboost", "torch"]
    if wanted is None and len(members) < 2:
        raise SpecError.at("model.members", len(members), "a stack needs two members at least")
    if wanted is not None and [member.family for member in members] != wanted:
        given = ", ".join(member.family for member in members)
        message = f"{spec.strategy} takes boosted trees (xgboost), then a net (torch)"
        raise SpecError.at("model.members", given, message)
    names: list[str] = []
    for place, member in enumerate(members):
        try:
            families[member.family].check(member, task)
        except SpecError as error:
            raise _at_member(error, place) from None
        name = label_of(member)
        same = sum(other == name or other.startswith(f"{name} #") for other in names)
        names.append(name if not same else f"{name} #{same + 1}")
    return [NamedMember(name, member, families[member.family]) for name, member in zip(names, members, strict=True)]


def default_members(strategy: str, task: str) -> list[MemberSpec]:
    """Boosted trees and TabM; for a stack a linear model too, which is cheap and errs in other rows."""
    pair: list[MemberSpec] = [XGBoostSpec(), TorchSpec()]
    linear = SklearnSpec(estimator="ridge" if task == "regression" else "logistic_regression")
    return [*pair, linear] if strategy == "stack" else pair


def label_of(member: MemberSpec) -> str:
    """What people call a member: its estimator, architecture or family."""
    if isinstance(member, SklearnSpec):
        return member.estimator
    return member.architecture if isinstance(member, TorchSpec) else member.family


def _at_member(error: SpecError, place: int) -> SpecError:
    """The error under the member's place in the spec."""
    where = f"model.members.{place}."
    problems = [
        Problem(where + problem.field.removeprefix("model."), problem.value, problem.message)
        for problem in error.problems
    ]
    message = error.message
    if problems and error.problems[0].field:
        message = message.replace(error.problems[0].field, problems[0].field, 1)
    return SpecError(message, hint=error.hint, problems=problems)
