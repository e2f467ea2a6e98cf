"""From what a caller sent to a spec, with every fault named by field, value and remedy."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from training.errors import Problem, SpecError, nearest, shown
from training.spec.base import SpecModel

S = TypeVar("S", bound=SpecModel)


def parse_spec(kind: type[S], raw: Any) -> S:
    """Checks `raw` (parsed JSON or YAML) against the spec `kind`.

    Raises:
        SpecError: with one problem for each fault.
    """
    if not isinstance(raw, dict):
        raise SpecError.at("", shown(raw), f"a spec is an object with fields, not {type(raw).__name__}")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems = spec_problems(kind, raw, error)
        count = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = f"{problems[0].field}: " if problems[0].field else ""
        raise SpecError(f"{where}{problems[0].message}{count}", problems=problems) from None


def spec_problems(kind: type[BaseModel], raw: Any, error: ValidationError) -> list[Problem]:
    """Translates pydantic's report: dotted fields without union tags, nearest known names for unknown fields."""
    problems = []
    for item in error.errors(include_url=False):
        location = tuple(_real_location(raw, item["loc"]))
        path = _dotted(location)
        if item["type"] == "extra_forbidden":
            known = _fields_at(kind, raw, location[:-1])
            problems.append(Problem(path, location[-1], f"unknown field{nearest(str(location[-1]), known)}"))
        elif item["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            problems.append(_wrong_tag(path, _value_at(raw, location), item["ctx"]))
        elif item["type"] == "missing":
            problems.append(Problem(path, None, "required field is missing"))
        elif item["type"] in {"model_type", "model_attributes_type"}:
            problems.append(_no_object(path, _value_at(raw, location), _fields_at(kind, raw, location)))
        else:
            message = item["msg"].removeprefix("Value error, ")
            field, colon, rest = message.partition(": ")
            if colon and field in _fields_at(kind, raw, location):
                # a check of the whole object that found one of its fields wrong
                location, message = (*location, field), rest
            problems.append(
                Problem(_dotted(location), shown(_value_at(raw, location)), message[0].lower() + message[1:])
            )
    return problems


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _no_object(path: str, value: Any, known: list[str]) -> Problem:
    tag = next((name for name in ("type", "family") if name in known), None)
    fields = f"the field {tag}, which says the others" if tag else f"the fields {', '.join(known)}"
    return Problem(path, shown(value), f"should be an object with {fields}")


def _wrong_tag(path: str, value: Any, context: dict[str, Any]) -> Problem:
    tag = str(context["discriminator"]).strip("'")
    known = [name.strip(" '") for name in str(context.get("expected_tags", "")).split(",") if name]
    given = value.get(tag) if isinstance(value, dict) else value
    message = (
        f"required field is missing{nearest('', known)}" if given is None else f"not known{nearest(str(given), known)}"
    )
    return Problem(f"{path}.{tag}", shown(given), message)


def _real_location(raw: Any, location: tuple[int | str, ...]) -> Iterator[int | str]:
    """Drops the tags that pydantic puts into the path of a discriminated union."""
    here = raw
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if (
            isinstance(here, dict)
            and part not in here
            and (not is_last or part in {here.get("type"), here.get("family")})
        ):
            continue
        yield part
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            here = None


def _value_at(raw: Any, location: tuple[int | str, ...]) -> Any:
    here = raw
    for part in location:
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return here
    return here


def _fields_at(kind: type[BaseModel], raw: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the spec knows at a place, as they are declared; empty where it holds no spec."""
    models: list[type[BaseModel]] = [kind]
    here = raw
    for part in location:
        here = here.get(part) if isinstance(here, dict) else None
        models = [
            m
            for model in models
            if part in model.model_fields
            for m in _models_in(model.model_fields[str(part)].annotation)
        ]
    tagged = [m for m in models if _accepts_tag(m, here)]
    return list(dict.fromkeys(name for model in tagged or models for name in model.model_fields))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _accepts_tag(model: type[BaseModel], raw: Any) -> bool:
    for tag in ("type", "family"):
        if tag in model.model_fields and isinstance(raw, dict) and raw.get(tag) is not None:
            return raw[tag] in typing.get_args(model.model_fields[tag].annotation)
    return True
