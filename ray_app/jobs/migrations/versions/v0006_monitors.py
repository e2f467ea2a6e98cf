"""Monitors with their alarms and actions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.String(40).with_variant(sa.String(40, collation="C"), "postgresql")
_NAME = sa.String(100)
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the three tables."""
    op.create_table(
        "monitors",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("next_report_at", _INSTANT),
        sa.Column("next_retrain_at", _INSTANT),
        sa.PrimaryKeyConstraint("name", name="pk_monitors"),
    )
    _create_alarms()
    op.create_table(
        "monitor_actions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("monitor", _NAME, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("alarm_id", _ID),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("job_id", _ID),
        sa.Column("train_job_id", _ID),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_monitor_actions_monitor", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_actions"),
    )
    op.create_index(
        "ix_monitor_actions_monitor_action_created_at", "monitor_actions", ["monitor", "action", "created_at"]
    )


def _create_alarms() -> None:
    op.create_table(
        "monitor_alarms",
        sa.Column("id", _ID, nullable=False),
        sa.Column("monitor", _NAME, nullable=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("window_start", _INSTANT, nullable=False),
        sa.Column("window_end", _INSTANT, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("message", sa.String(1000), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["monitor"], ["monitors.name"], name="fk_monitor_alarms_monitor", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_alarms"),
        sa.UniqueConstraint("monitor", "version", "window_start", "kind", "subject", name="uq_monitor_alarms_finding"),
    )
