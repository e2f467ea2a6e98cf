"""The tables of monitors."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, String, Table, UniqueConstraint

from ray_app.jobs.tables import UtcDateTime, metadata

_Id = String(40).with_variant(String(40, collation="C"), "postgresql")
_Name = String(100)
_Json = JSON(none_as_null=True)

monitors = Table(
    "monitors",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("spec", _Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("next_report_at", UtcDateTime),
    Column("next_retrain_at", UtcDateTime),
)

monitor_alarms = Table(
    "monitor_alarms",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("monitor", _Name, ForeignKey("monitors.name", ondelete="CASCADE"), nullable=False),
    Column("model", _Name, nullable=False),
    Column("version", String(20), nullable=False),
    Column("window_start", UtcDateTime, nullable=False),
    Column("window_end", UtcDateTime, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("message", String(1000), nullable=False),
    Column("value", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("job_id", _Id, nullable=False),
    UniqueConstraint("monitor", "version", "window_start", "kind", "subject", name="uq_monitor_alarms_finding"),
)

monitor_actions = Table(
    "monitor_actions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("monitor", _Name, ForeignKey("monitors.name", ondelete="CASCADE"), nullable=False),
    Column("action", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("alarm_id", _Id),
    Column("created_at", UtcDateTime, nullable=False),
    Column("job_id", _Id),
    Column("train_job_id", _Id),
    Column("pool_id", _Id),
    Column("confirmation", _Json),
    Index(None, "monitor", "action", "created_at"),
)
