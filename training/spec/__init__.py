"""What a job is. The JSON Schema of these classes is the reference of the spec."""

from training.spec.base import SpecModel
from training.spec.data import (
    PART_COLUMN,
    DataSpec,
    FeastSource,
    FileSource,
    InlineSource,
    PoolLabel,
    PoolSource,
    Source,
    SplitSpec,
    SplitStrategy,
    Task,
)
from training.spec.evaluation import EvaluationSpec, MetricName, PromotionSpec
from training.spec.job import EvaluateSpec, EvaluationData, ModelReference, TrackingSpec, TrainSpec, WandbSpec
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
from training.spec.reproduce import ReproduceSpec
from training.spec.resources import ResourcesSpec
from training.spec.sources import SnapshotSource, SqlSource, UploadSource
from training.spec.tune import Choice, FloatRange, IntRange, ParameterSpec, StopSpec, TuneSpec
from training.spec.validation import ValidationSpec

__all__ = [
    "PART_COLUMN",
    "AutoSpec",
    "Choice",
    "DataSpec",
    "EvaluateSpec",
    "EvaluationData",
    "EvaluationSpec",
    "FeastSource",
    "FileSource",
    "FloatRange",
    "HybridSpec",
    "InlineSource",
    "IntRange",
    "MemberSpec",
    "MetricName",
    "ModelReference",
    "ModelSpec",
    "ParameterSpec",
    "PoolLabel",
    "PoolSource",
    "PromotionSpec",
    "ReproduceSpec",
    "ResourcesSpec",
    "SklearnSpec",
    "SnapshotSource",
    "Source",
    "SpecModel",
    "SplitSpec",
    "SplitStrategy",
    "SqlSource",
    "StopSpec",
    "Task",
    "TorchArchitecture",
    "TorchSpec",
    "TrackingSpec",
    "TrainSpec",
    "TreeFeature",
    "TuneSpec",
    "UploadSource",
    "ValidationSpec",
    "WandbSpec",
    "XGBoostSpec",
    "parse_spec",
]
