"""`python -m chaos --faults 100 --seed 1`: prints a line a fault and a table; exits 1 if a promise was broken."""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from whole_service import running_whole

from chaos.campaign import Campaign, Step
from chaos.postgres import own_postgres

DISK_MB = 1500


def main() -> int:
    """Runs a campaign."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    parser.add_argument("--only", action="append", default=[], help="name of a fault; may be given again")
    parser.add_argument("--postgres", action="store_true", help="databases on PostgreSQL, which is broken too")
    parser.add_argument("--report", type=Path, help="JSON lines, one a fault")
    parser.add_argument("--keep-going", action="store_true", help="also after a broken promise")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background jobs ignore Ctrl-C
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    steps: list[Step] = []
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres()) if options.postgres else None
        folder = stack.enter_context(small_disk())
        whole = stack.enter_context(running_whole(folder, postgres.settings if postgres else None))
        campaign = Campaign(whole, options.seed, options.only, postgres)
        print(f"seed {options.seed}; home {whole.home}; {len(campaign.faults)} kinds of faults", flush=True)
        with suppress(KeyboardInterrupt):
            for step in campaign.run(options.faults):
                steps.append(step)
                show(step, options.report)
                over_time = time.monotonic() - started > options.minutes * 60
                if over_time or (step.broken and not options.keep_going):
                    break
        tell(steps, campaign, time.monotonic() - started)
    return 1 if any(step.broken for step in steps) else 0


def show(step: Step, report: Path | None) -> None:
    """One line, and one for each broken promise."""
    print(f"{step.number:4} {step.fault:32} ready {step.ready_s:5} s  over {step.over_s:5} s  "
          f"{step.accepted:5} jobs  {step.did}", flush=True)  # fmt: skip
    print("".join(f"     BROKEN {line}\n" for line in step.broken), end="", flush=True)
    if report is not None:
        with report.open("a") as file:
            file.write(json.dumps(asdict(step)) + "\n")


def tell(steps: list[Step], campaign: Campaign, took_s: float) -> None:
    """The table."""
    print(f"\n{'fault':32} {'times':>5} {'ready again, median':>20} {'longest':>8} {'broken':>7}")
    for name in sorted({step.fault for step in steps}):
        of = [step for step in steps if step.fault == name]
        ready = [step.ready_s for step in of]
        broken = sum(len(step.broken) for step in of)
        print(f"{name:32} {len(of):5} {statistics.median(ready):18.1f} s {max(ready):6.1f} s {broken:7}")
    print(f"{len(steps)} faults, {len(campaign.stream.accepted)} jobs, {took_s:.0f} s, "
          f"{sum(len(step.broken) for step in steps)} broken promises")  # fmt: skip
    print("callers heard:", dict(campaign.stream.answers))


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system of its own for the home, where this user may mount one; else a disk cannot be filled safely."""
    with tempfile.TemporaryDirectory(prefix="mts-chaos-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            print("no disk is filled: mounting a small one is not allowed here")
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


if __name__ == "__main__":
    sys.exit(main())
