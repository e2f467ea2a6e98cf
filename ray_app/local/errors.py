"""What can go wrong when the service is brought up on this machine."""

from __future__ import annotations


class LocalError(Exception):
    """The service cannot be brought up or taken down here.

    Args:
        message: what is wrong.
        hint: the remedy.
        log: last lines of the log that explains it.
    """

    def __init__(self, message: str, *, hint: str = "", log: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log or []
