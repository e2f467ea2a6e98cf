"""A short campaign of faults under a stream of jobs; `make chaos` runs a hundred."""

from __future__ import annotations

import pytest
from whole_service import WholeService

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

FAULTS = ("freeze the dispatcher", "kill the proxy")
"""Those that test_faults.py has not already tried, each on one job."""


def test_no_fault_breaks_a_promise(whole: WholeService) -> None:
    # here, for only this test needs it
    from chaos.campaign import Campaign

    campaign = Campaign(whole, seed=1, only=FAULTS)
    steps = list(campaign.run(len(FAULTS)))
    assert [step for step in steps if step.broken] == []
    assert {step.fault for step in steps} == set(FAULTS)
    assert len(campaign.stream.accepted) > len(FAULTS)
