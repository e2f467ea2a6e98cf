"""What a job is. The JSON Schema of these classes is the reference of the spec."""

from training.spec.base import SpecModel
from training.spec.data import DataSpec, FileSource, InlineSource, Source, SplitSpec, SplitStrategy, Task
from training.spec.evaluation import EvaluationSpec, MetricName, PromotionSpec
from training.spec.job import EvaluateSpec, EvaluationData, ModelReference, TrainSpec
from training.spec.model import (
    AutoSpec,
    HybridSpec,
    MemberSpec,
    ModelSpec,
    SklearnSpec,
    TorchArchitecture,
    TorchSpec,
    TreeFeature,
    XGBoostSpec,
)
from training.spec.parsing import parse_spec
from training.spec.resources import ResourcesSpec

__all__ = [
    "AutoSpec", "DataSpec", "EvaluateSpec", "EvaluationData", "EvaluationSpec", "FileSource", "HybridSpec",
    "InlineSource", "MemberSpec", "MetricName", "ModelReference", "ModelSpec", "PromotionSpec", "ResourcesSpec",
    "SklearnSpec", "Source", "SpecModel", "SplitSpec", "SplitStrategy", "Task", "TorchArchitecture", "TorchSpec",
    "TrainSpec", "TreeFeature", "XGBoostSpec", "parse_spec",
]  # fmt: skip
