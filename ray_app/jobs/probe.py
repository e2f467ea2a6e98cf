"""Looks at a job store without changing it: for the doctor, while no service runs."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from ray_app.jobs.database import Database
from ray_app.jobs.migrate import sound_version
from ray_app.jobs.migrations import HEAD
from training.errors import ConflictError, UnavailableError


def probed_schema(url: str) -> str | None:
    """The newest step that the store has seen; None for an empty one.

    Raises:
        SpecError: the URL is of another kind.
        UnavailableError: it cannot be reached, or is damaged.
        ConflictError: a newer release has written it.
    """
    database = Database(url)
    try:
        version = database.read(sound_version)
    except DBAPIError as error:
        raise UnavailableError(f"the job store is damaged: {type(error.orig).__name__}") from None
    finally:
        database.close()
    if version is not None and version > HEAD:
        raise ConflictError(f"the job store has schema {version}, and this release knows only up to {HEAD}",
                            hint="it is of a newer release: start that one")  # fmt: skip
    return version
