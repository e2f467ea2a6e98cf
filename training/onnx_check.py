"""Checks the ONNX form of a bundle's model: `python verify_onnx.py FOLDER` of an unpacked bundle.

Needs numpy and onnxruntime. It also shows how rows become the inputs of `model.onnx`, each [n, 1] and named as its
column: numbers and booleans (0, 1) as float64 with NaN for missing; categories as text with "" for missing, numbers
among them without a decimal point where they have no fraction; times as int64, microseconds since 1970 in UTC, with
the smallest int64 for missing. The output `scores` is [n, classes] probabilities or [n, 1] values, float64.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TOLERANCE = 1e-5
"""Boosted trees and networks add up in float32, in an order of their own, and agree to about 1e-7 of the largest score:
differences are relative to it where it is above 1."""
REFUSALS = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
"""Names of onnxruntime's errors about a model that it cannot load or run."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRUTH = {"true": 1.0, "false": 0.0}


class OnnxRefusedError(ValueError):
    """onnxruntime cannot load the model, or cannot score with it."""


def onnx_inputs(kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as inputs of the model.

    Args:
        kinds: kind of each column: numeric, boolean, categorical or datetime.
        rows: values as JSON has them; None or absent is missing.
    """
    import numpy as np  # noqa: PLC0415 - the bundle's reader may want the conversion of one value alone

    types = {"numeric": np.float64, "boolean": np.float64, "categorical": object, "datetime": np.int64}
    return {
        name: np.array([[onnx_value(kind, row.get(name))] for row in rows], types[kind]).reshape(len(rows), 1)
        for name, kind in kinds.items()
    }


def onnx_value(kind: str, value: Any) -> Any:
    """One value as the model takes it."""
    if kind == "categorical":
        return "" if value is None else _label(value)
    if kind == "datetime":
        return -(2**63) if value is None else _microseconds(value)
    if value is None:
        return float("nan")
    return TRUTH[value.lower()] if isinstance(value, str) else float(value)


def differences(
    content: bytes,
    kinds: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    outputs: Sequence[Sequence[float]],
    edge_rows: int,
) -> tuple[float, float]:
    """Largest difference of a score, see TOLERANCE, on the golden rows and on the last `edge_rows` ones, made up.

    Raises:
        OnnxRefusedError: there are no scores.
    """
    import numpy as np  # noqa: PLC0415 - as above

    scores = _scores(content, onnx_inputs(kinds, rows))
    expected = np.asarray(outputs, np.float64)
    apart = np.abs(scores - expected) / max(1.0, np.abs(expected).max(initial=0.0))
    apart = np.where(np.isnan(apart), np.inf, apart)
    real = len(rows) - edge_rows
    return float(apart[:real].max(initial=0.0)), float(apart[real:].max(initial=0.0))


def _scores(content: bytes, inputs: Mapping[str, Any]) -> Any:
    import onnxruntime  # noqa: PLC0415 - an extra
    from onnxruntime.capi import onnxruntime_pybind11_state as errors  # noqa: PLC0415 - as above

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        wanted = {value.name for value in session.get_inputs()}
        return session.run(None, {name: value for name, value in inputs.items() if name in wanted})[0]
    except tuple(getattr(errors, name) for name in REFUSALS) as error:
        raise OnnxRefusedError(str(error).splitlines()[0][:300]) from error


def _label(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def main(arguments: Sequence[str]) -> int:
    """Prints the largest differences; 1 where they are too large or there is no ONNX."""
    folder = Path(arguments[0])
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    if manifest["onnx"]["file"] is None:
        sys.stderr.write(f"{manifest['onnx']['reason']}\n")
        return 1
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    kinds = {column["name"]: column["kind"] for column in manifest["inputs"]}
    content = (folder / manifest["onnx"]["file"]).read_bytes()
    real, edge = differences(content, kinds, golden["rows"], golden["outputs"], golden["edge_rows"])
    sys.stdout.write(
        f"largest difference: {real:.3g} on golden rows, {edge:.3g} on edge rows; {TOLERANCE:.0e} is allowed\n"
    )
    return 0 if max(real, edge) <= TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
