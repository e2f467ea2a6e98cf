"""The trials of a study on disk, so that a study whose process dies goes on where it was."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from training.result import TrialRow

logger = logging.getLogger("training")

JOURNAL_FILE = "trials.jsonl"


class Journal:
    """One line for each trial that begins or ends; a line that a dying process left unfinished is ignored.

    Args:
        folder: of the study; made where it is not there.
        fingerprint: tells this study from another one in the same folder, whose trials are not taken over.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / JOURNAL_FILE
        self.rows: dict[int, TrialRow] = self._read(fingerprint)
        if not self.rows:
            self._path.write_text(json.dumps({"study": fingerprint}) + "\n", encoding="utf-8")

    def write(self, row: TrialRow) -> None:
        """Adds the trial as it is now, and returns when it is on the disk."""
        self.rows[row.number] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(row.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, fingerprint: str) -> dict[int, TrialRow]:
        if not self._path.is_file():
            return {}
        lines = self._path.read_text(encoding="utf-8").split("\n")
        if not lines or lines[0] != json.dumps({"study": fingerprint}):
            logger.warning("the trials in %s are of another study; this one begins anew", self._path)
            return {}
        rows: dict[int, TrialRow] = {}
        complete = lines[1:-1]  # what follows the last line break was never finished
        for line in complete:
            row = TrialRow.model_validate_json(line)
            rows[row.number] = row
        if lines[-1]:
            with self._path.open("rb+") as file:
                file.truncate(len("\n".join(lines[:-1]).encode()) + 1)
        return rows
