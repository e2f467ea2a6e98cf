"""What can be wrong with a batch that comes in; each is a DataError, told to the caller as it is."""

from __future__ import annotations

from training.errors import DataError


class BodyError(DataError):
    """The bytes of a batch are no document of the kind that they claim to be, or end too early."""


class BatchTooLargeError(DataError):
    """A batch holds more rows than one request may bring."""
