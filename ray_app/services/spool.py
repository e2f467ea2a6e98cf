"""Events that the dispatcher has not taken yet, as files: they outlive this process and the dispatcher's absence."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from ray_app.jobs.webhooks import WebhookEvent

logger = logging.getLogger("ray_app.webhooks")


class Spool:
    """A folder with a file for each event. Several processes may share it: an event may then be told twice, which
    its id makes harmless."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, event: WebhookEvent) -> None:
        """Writes the event; on return it is on the disk.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{event.id}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(event.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path(event))

    def waiting(self) -> list[WebhookEvent]:
        """All events, oldest first. A file that holds none is left where it is, and logged."""
        found = []
        for path in self._folder.glob("evt_*.json") if self._folder.is_dir() else ():
            try:
                found.append(WebhookEvent.model_validate_json(path.read_bytes()))
            except FileNotFoundError:
                logger.info("%s was told by another process", path.stem)
            except ValidationError:
                logger.warning("%s holds no event", path.name)
        return sorted(found, key=lambda event: event.created_at)

    def told(self, event: WebhookEvent) -> None:
        """The dispatcher has the event."""
        self._path(event).unlink(missing_ok=True)

    def _path(self, event: WebhookEvent) -> Path:
        return self._folder / f"{event.id}.json"
