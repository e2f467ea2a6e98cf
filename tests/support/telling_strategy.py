"""A query strategy that tells where it works; in a module of its own, so that worker processes can import it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from training.active_learning.rows import Floats
from training.active_learning.strategies.margin import Margin
from training.active_learning.view import View


class Telling(Margin):
    """Leaves a file for each chunk that it scores, named after the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def scores(self, view: View) -> Floats:
        """As margin."""
        (self.folder / f"{os.getpid()}-{uuid.uuid4().hex}").touch()
        return super().scores(view)

    def processes(self) -> list[int]:
        """One for each chunk so far."""
        return [int(path.name.partition("-")[0]) for path in self.folder.iterdir()]
