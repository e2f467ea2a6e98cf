"""A training in stages: each goes on from the file that the one before it left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from training.errors import FitError
from training.models.base import Stage
from training.models.torch_peers import Alone


class Staged(Alone):
    """One process, and one stage.

    Raises:
        FitError: the state to begin with cannot be read.
    """

    def __init__(self, stage: Stage) -> None:
        self._end = stage.end
        self._before = {} if stage.start is None else _read(stage.start)
        self._after: dict[str, Mapping[str, Any]] = {}

    def resumed(self, name: str) -> Mapping[str, Any] | None:
        """The network as the stage before left it."""
        return self._before.get(name)

    def pause(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Leaves the network for the next stage; the file is replaced atomically."""
        made = state()
        self._after[made["name"]] = made
        self._end.parent.mkdir(parents=True, exist_ok=True)
        partial = self._end.with_suffix(".partial")
        torch.save(self._after, partial)
        partial.replace(self._end)


def _read(file: Path) -> dict[str, Mapping[str, Any]]:
    try:
        found: dict[str, Mapping[str, Any]] = torch.load(file, weights_only=True)
    except FileNotFoundError as error:
        raise FitError(
            f"the stage before left nothing at {file.name}",
            hint="let all nodes see the folder of the checkpoints at the same path",
        ) from error
    return found
