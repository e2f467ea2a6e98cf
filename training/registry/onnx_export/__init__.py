"""A registered model as ONNX, from raw columns to scores. Needs the extra `onnx`."""

from training.registry.onnx_export.export import exported
from training.registry.onnx_export.graph import NotExpressibleError

__all__ = ["NotExpressibleError", "exported"]
