"""What follows from an alarm, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from training.monitoring.discovery import q_values
from training.monitoring.policy import decide, gravest
from training.monitoring.spec import PolicySpec


@dataclass(frozen=True)
class Told:
    severity: str


def reasons(policy: PolicySpec, severity: str, ages_s: list[float]) -> dict[str, tuple[bool, str]]:
    def history(action: str, period_s: float) -> list[float]:
        return [age for age in ages_s if age < period_s]

    return {found.action: (found.goes, found.reason) for found in decide(policy, Told(severity), history)}


def test_everybody_is_told_of_a_warning_and_more_is_done_about_what_is_critical() -> None:
    policy = PolicySpec(actions=["notify", "retrain"])
    found = reasons(policy, "warning", [])
    assert found["notify"][0]
    assert found["retrain"] == (False, "the alarm is a warning; retrain waits for critical")
    assert reasons(policy, "critical", [])["retrain"][0]


def test_cooldown_and_budget_hold_an_action_back() -> None:
    policy = PolicySpec(actions=["rollback"], cooldown_s=100, max_actions=2, budget_period_s=1000)
    assert reasons(policy, "critical", [60.0])["rollback"] == (
        False, "cooldown: rollback was started before; 40 s are left",
    )  # fmt: skip
    assert reasons(policy, "critical", [600.0])["rollback"][0]
    assert "budget: rollback was started 2 times" in reasons(policy, "critical", [600.0, 900.0])["rollback"][1]


def test_the_first_of_the_gravest_is_acted_upon() -> None:
    first, second = Told("critical"), Told("critical")
    assert gravest([Told("warning"), first, second]) is first


def test_false_discoveries_are_controlled_over_all_tests() -> None:
    assert q_values([0.01, 0.04, 0.03, 0.5]).tolist() == [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]
    assert q_values([]).tolist() == []
