"""One service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from whole_service import WholeService, running_whole


@pytest.fixture(scope="session")
def whole() -> Iterator[WholeService]:
    """Up for the session, down afterwards."""
    with running_whole() as service:
        yield service
