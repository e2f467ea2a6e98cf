"""The actor of a fit's mailbox must stay small and start fast."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "numpy", "xgboost", "sklearn", "torch", "training.distributed", "training.models")


def test_its_process_imports_nothing_that_a_fit_needs() -> None:
    program = f"import sys, training.mailbox_box; print([name for name in {HEAVY!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
