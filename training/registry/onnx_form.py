"""The ONNX form of a model, if it gives the model's golden scores."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from training import onnx_check
from training.mts_scoring.model import ScoringModel
from training.registry.golden import Golden

PACKAGES = ("onnx", "onnxruntime")


@dataclass(frozen=True)
class OnnxForm:
    """`content` is None where there is no ONNX that passed its parity test, and `reason` says why.

    `golden`, `edge`: largest difference of a score on the golden and on the made-up rows, see `onnx_check`.
    """

    content: bytes | None
    reason: str | None = None
    golden: float | None = None
    edge: float | None = None


def onnx_form(folder: Path, golden: Golden) -> OnnxForm:
    """The whole model as ONNX, from raw columns to scores. The same model gives the same bytes.

    Args:
        folder: of the ScoringModel.
        golden: its golden rows, for which onnxruntime has to give the same scores.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return OnnxForm(None, "the extra `onnx` is not installed where the bundle was made")
    from training.registry.onnx_export import NotExpressibleError, exported  # noqa: PLC0415 - the extra

    model = ScoringModel.load(folder)
    try:
        content = exported(model)
    except NotExpressibleError as error:
        return OnnxForm(None, f"no ONNX: {error}")
    kinds = {feature.name: feature.kind for feature in model.features}
    try:
        real, edge = onnx_check.differences(content, kinds, golden.rows, golden.outputs, golden.edge_rows)
    except onnx_check.OnnxRefusedError as error:
        return OnnxForm(None, f"onnxruntime does not take it: {error}")
    if max(real, edge) > onnx_check.TOLERANCE:
        reason = (
            f"the parity test failed: the largest difference is {real:.3g} on golden rows and {edge:.3g} on edge rows, "
            f"{onnx_check.TOLERANCE:.0e} is allowed"
        )
        return OnnxForm(None, reason, real, edge)
    return OnnxForm(content, None, real, edge)
