"""Jobs with their specs, tags and events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.String(30).with_variant(sa.String(30, collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True)
_PENDING = sa.text("status = 'PENDING'")


def upgrade() -> None:
    """Creates the four tables."""
    _create_jobs()
    op.create_table(
        "job_specs",
        sa.Column("job_id", _ID, sa.ForeignKey("jobs.id", name="fk_job_specs_job_id"), nullable=False),
        sa.Column("size_chars", sa.Integer, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_specs"),
    )
    op.create_table(
        "job_tags",
        sa.Column("job_id", _ID, sa.ForeignKey("jobs.id", name="fk_job_tags_job_id"), nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "key", name="pk_job_tags"),
    )
    op.create_index("ix_job_tags_key_value_job_id", "job_tags", ["key", "value", "job_id"])
    op.create_index("ix_job_tags_key_job_id", "job_tags", ["key", "job_id"])
    op.create_table(
        "job_events",
        sa.Column("job_id", _ID, sa.ForeignKey("jobs.id", name="fk_job_events_job_id"), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("type", sa.String(10), nullable=False),
        sa.Column("time", _INSTANT, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
        sqlite_with_rowid=False,
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("user_failures", sa.Integer, nullable=False),
        sa.Column("platform_failures", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("event_count", sa.Integer, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT),
        sa.Column("finished_at", _INSTANT),
        sa.Column("not_before", _INSTANT),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("retry_of", _ID),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("links", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
    )
    op.create_index("ix_jobs_status_kind_id", "jobs", ["status", "kind", "id"])
    op.create_index("ix_jobs_name_status_kind_id", "jobs", ["name", "status", "kind", "id"])
    op.create_index(
        "ix_jobs_queue", "jobs", [sa.text("priority DESC"), "id"], sqlite_where=_PENDING, postgresql_where=_PENDING
    )  # fmt: skip
