"""The Open Inference Protocol, version 2: tensors in, tensors out."""

from __future__ import annotations

import math
from typing import Any

KINDS = {"numeric": "FP64", "boolean": "BOOL", "categorical": "BYTES", "datetime": "BYTES"}
OUTPUTS = {"score": "FP64", "decision": "BYTES"}
MAX_ROWS = 10_000


class RequestError(ValueError):
    """A request that does not fit the protocol or the model's schema."""


def columns_of(request: Any, inputs: list[dict[str, str]]) -> dict[str, list[Any]]:
    """The columns of an inference request: one tensor of shape [n] or [n, 1] for each column; null is missing.

    Raises:
        RequestError: names the tensor that does not fit.
    """
    tensors = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(tensors, list) or not all(isinstance(one, dict) and "name" in one for one in tensors):
        raise RequestError("inputs: a list of tensors with name, shape, datatype and data")
    by_name = {tensor["name"]: tensor for tensor in tensors}
    known = {column["name"]: column["kind"] for column in inputs}
    for problem, names in (("missing", known.keys() - by_name.keys()), ("unknown", by_name.keys() - known.keys())):
        if names:
            raise RequestError(f"{problem} inputs: {', '.join(sorted(map(str, names)))}")
    lengths = {len(_values(tensor)) for tensor in tensors}
    if len(lengths) != 1 or not 0 < (rows := lengths.pop()) <= MAX_ROWS:
        raise RequestError(f"every input needs as many values, and at most {MAX_ROWS}")
    del rows
    return {name: [_value(value, name, kind) for value in _values(by_name[name])] for name, kind in known.items()}


def wants_reasons(request: dict[str, Any]) -> bool:
    """Whether the parameters of a request leave the reasons in; they do by default.

    Raises:
        RequestError: the parameters are no object.
    """
    parameters = request.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError("parameters: an object")
    return bool(parameters.get("reasons", True))


def response_of(
    model: str, version: str, answers: list[dict[str, Any]], prediction_id: str, request_id: str | None
) -> dict[str, Any]:
    """The answers as tensors; reasons and the id of the prediction are parameters, for they are no tensors."""
    count = len(answers)
    outputs = [
        {"name": "score", "shape": [count], "datatype": "FP64", "data": [one["score"] for one in answers]},
        {"name": "decision", "shape": [count], "datatype": "BYTES", "data": [one["decision"] for one in answers]},
    ]
    parameters = {"prediction_id": prediction_id, "reasons": [one["reasons"] for one in answers]}
    found = {"model_name": model, "model_version": version, "outputs": outputs, "parameters": parameters}
    return found if request_id is None else found | {"id": request_id}


def _values(tensor: dict[str, Any]) -> list[Any]:
    data = tensor.get("data")
    if not isinstance(data, list):
        raise RequestError(f"{tensor['name']}: data must be a list")
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]


def _value(value: Any, name: str, kind: str) -> Any:
    if value is None:
        return None
    fits = {
        "numeric": isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
        "boolean": isinstance(value, bool),
    }.get(kind, isinstance(value, str | int | float | bool))
    if not fits:
        raise RequestError(f"{name}: {value!r} does not fit a {kind} column; null is a missing value")
    return value
