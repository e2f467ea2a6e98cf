"""What is done about alarms: the policy decides, and says why; others act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from training.monitoring.spec import Action, PolicySpec, Severity

_RANK: dict[str, int] = {"warning": 0, "critical": 1}

History = Callable[[str, float], Sequence[float]]
"""Seconds since the actions of a kind that were started within a period, newest first."""


class HasSeverity(Protocol):
    """An alarm, as far as it matters here."""

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        raise NotImplementedError


A = TypeVar("A", bound=HasSeverity)


@dataclass(frozen=True)
class Decision:
    """Whether an action goes ahead, and why (not)."""

    action: Action
    goes: bool
    reason: str


def gravest(alarms: Sequence[A]) -> A:
    """The first of the gravest alarms."""
    return max(alarms, key=lambda alarm: _RANK[alarm.severity])


def decide(policy: PolicySpec, alarm: HasSeverity, history: History) -> list[Decision]:
    """One decision for each action of the policy."""
    return [_decide(policy, action, alarm.severity, history) for action in policy.actions]


def _decide(policy: PolicySpec, action: Action, severity: Severity, history: History) -> Decision:
    if action != "notify" and _RANK[severity] < _RANK[policy.min_severity]:
        return Decision(
            action, goes=False, reason=f"the alarm is a {severity}; {action} waits for {policy.min_severity}"
        )
    in_cooldown = history(action, policy.cooldown_s) if policy.cooldown_s else []
    if in_cooldown:
        left_s = policy.cooldown_s - in_cooldown[0]
        return Decision(action, goes=False, reason=f"cooldown: {action} was started before; {left_s:.0f} s are left")
    spent = len(history(action, policy.budget_period_s))
    if spent >= policy.max_actions:
        period = f"{policy.budget_period_s / 86_400:g} days"
        return Decision(action, goes=False, reason=f"budget: {action} was started {spent} times in {period}")
    return Decision(action, goes=True, reason=f"an alarm of severity {severity}")
