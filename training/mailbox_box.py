"""The inside of a fit's mailbox: what its actor holds. The actor imports this file and nothing else of the project.

A process that imports what a fit needs takes 170 MB and seconds, this one 40 MB. So letters are bytes here, and only
who takes them away knows what they say.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Box:
    """Letters, who has been heard of when, and which starts are to stop."""

    letters: list[bytes] = field(default_factory=list)
    heard_at: dict[int, float] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)

    def post(self, letter: bytes) -> None:
        """Keeps a letter."""
        self.letters.append(letter)

    def beat(self, rank: int) -> None:
        """A rank lives."""
        self.heard_at[rank] = time.monotonic()

    def stop_asked(self, start: int) -> bool:
        """Whether the workers of that start are to stop."""
        return start in self.stopped

    def take(self) -> tuple[list[bytes], dict[int, float]]:
        """The letters, which are gone then, and for how many seconds each rank has said nothing."""
        taken, self.letters = self.letters, []
        now = time.monotonic()
        return taken, {rank: now - heard for rank, heard in self.heard_at.items()}

    def ask_to_stop(self, start: int) -> None:
        """The workers of that start are to stop."""
        self.stopped.add(start)

    def forget(self) -> None:
        """For the next start of the workers."""
        self.letters, self.heard_at = [], {}
