"""A model as the bytes of an ONNX file."""

from __future__ import annotations

from training.mts_scoring.model import ScoringModel
from training.registry.onnx_export.graph import Graph
from training.registry.onnx_export.inputs import raw_inputs
from training.registry.onnx_export.predictors import scored


def exported(model: ScoringModel) -> bytes:
    """One input for each raw column, as `training.onnx_check` describes them, and the output `scores`.

    Raises:
        NotExpressibleError: a part of the model has no ONNX here; says which.
    """
    graph = Graph()
    scores = scored(graph, model.predictor, raw_inputs(graph, model.features))
    made = graph.model(scores, len(model.classes) or 1)
    return bytes(made.SerializeToString(deterministic=True))
