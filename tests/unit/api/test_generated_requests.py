"""Requests drawn from the OpenAPI document: no 5xx, no answer that it does not tell of, none without a key."""

from __future__ import annotations

from pathlib import Path

import pytest

PER_OPERATION = 3


@pytest.mark.slow
def test_no_request_breaks_the_api_or_its_description(tmp_path: Path) -> None:
    # here, for schemathesis takes a second to import
    from fuzzed_api import fuzzed

    with fuzzed(tmp_path) as cases:
        cases.run(PER_OPERATION)
    assert cases.wrong == []
    assert sum(cases.answers.values()) > 20 * PER_OPERATION
