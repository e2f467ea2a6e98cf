"""Which class reads which kind of saved predictor."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping

from .predictor import Predictor


class PredictorTable(Mapping[str, type[Predictor]]):
    """Kind -> class. A class is imported when it is asked for: scoring one kind needs no other kind's library."""

    def __init__(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """Takes (kind, module of this package, class).

        Raises:
            ValueError: a kind is there twice.
        """
        self._entries: dict[str, tuple[str, str]] = {}
        for kind, module, name in entries:
            if kind in self._entries:
                raise ValueError(f"predictor kind {kind!r} is there twice")
            self._entries[kind] = (module, name)

    def __getitem__(self, kind: str) -> type[Predictor]:
        module, name = self._entries[kind]
        found: type[Predictor] = getattr(importlib.import_module(f".{module}", __package__), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


PREDICTORS = PredictorTable([
    ("calibrated", "calibrated_predictor", "CalibratedPredictor"),
    ("constant", "constant_predictor", "ConstantPredictor"),
    ("ft_transformer", "torch_predictor", "FTTransformerPredictor"),
    ("mlp", "torch_predictor", "MLPPredictor"),
    ("sklearn", "sklearn_predictor", "SklearnPredictor"),
    ("stack", "stack_predictor", "StackPredictor"),
    ("tabm", "torch_predictor", "TabMPredictor"),
    ("xgboost", "xgboost_predictor", "XGBoostPredictor"),
])  # fmt: skip
