"""What is removed after its time, and what never is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ray_app.local.housekeeping import DAY_S, tidy_home
from ray_app.settings import Settings


def aged(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x" * 100)
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    for folder in path.parents[:2]:
        os.utime(folder, (then, then))
    return path


def test_what_is_older_than_its_time_goes_and_all_else_stays(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, keep_job_logs_days=10, keep_audit_days=100, _env_file=None)
    gone = [
        aged(tmp_path / "logs" / "job_01m84f929qmghxq2tc9dnjvmv4.log", 11),
        aged(tmp_path / "logs" / "audit-2020-01-01.jsonl", 101),
        aged(tmp_path / "checkpoints" / "job_1" / "part", 8),
    ]
    stays = [
        aged(tmp_path / "logs" / "job_01m84f929qmghxq2tc9dnjvmv5.log", 9),
        aged(tmp_path / "logs" / "audit-2020-01-02.jsonl", 99),
        aged(tmp_path / "logs" / "supervisor.log", 1000),
        aged(tmp_path / "checkpoints" / "job_2" / "part", 6),
        aged(tmp_path / "jobs.db", 1000),
        aged(tmp_path / "artifacts" / "model", 1000),
        aged(tmp_path / "uploads" / "rows.csv", 1000),
    ]
    outside = aged(tmp_path.parent / "outside.log", 1000)
    (tmp_path / "logs" / "job_link.log").symlink_to(outside)
    removed = tidy_home(settings)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in [*stays, outside])
    assert sum(item.size_bytes for item in removed) == 300
    assert tidy_home(settings) == []
