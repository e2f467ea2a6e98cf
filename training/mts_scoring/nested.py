"""Saves and loads predictors that are parts of another one."""

from __future__ import annotations

import json
from pathlib import Path

from .predictor import Predictor
from .registry import PREDICTORS

KIND_FILE = "kind.json"


def save_part(predictor: Predictor, folder: Path) -> None:
    """Writes a predictor, with its kind, into a folder that does not exist yet.

    Raises:
        ValueError: the predictor's kind is not registered, so that nothing could load it again.
    """
    if predictor.kind not in PREDICTORS:
        raise ValueError(f"predictor kind {predictor.kind!r} is not in PREDICTORS: nothing could load it again")
    folder.mkdir(parents=True)
    inner = folder / "predictor"
    inner.mkdir()
    predictor.save(inner)
    (folder / KIND_FILE).write_text(json.dumps({"kind": predictor.kind}), encoding="utf-8")


def load_part(folder: Path) -> Predictor:
    """Reads what `save_part` wrote."""
    kind = json.loads((folder / KIND_FILE).read_text(encoding="utf-8"))["kind"]
    return PREDICTORS[kind].load(folder / "predictor")


def distributions_of(predictors: list[Predictor]) -> tuple[str, ...]:
    """What loading all of them needs."""
    return tuple(sorted({name for predictor in predictors for name in predictor.distributions()}))
