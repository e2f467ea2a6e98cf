"""The tables of the job store. What creates them are the migrations; a test holds the two equal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: TIMESTAMPTZ on PostgreSQL, UTC without a zone on SQLite; always aware and UTC in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC; a time without a zone is a bug of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a stored time needs a zone, {value} has none")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware and UTC."""
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


# ids are compared byte by byte, whatever language the database was made for: their order is the order of age
_Id = String(30).with_variant(String(30, collation="C"), "postgresql")
_Json = JSON(none_as_null=True)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("name", String(100), nullable=False),
    Column("status", String(10), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("user_failures", Integer, nullable=False),
    Column("platform_failures", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("not_before", UtcDateTime),
    Column("idempotency_key", String(200), unique=True),
    Column("spec_hash", String(64), nullable=False),
    Column("retry_of", _Id),
    Column("tags", _Json, nullable=False),
    Column("progress", _Json, nullable=False),
    Column("links", _Json, nullable=False),
    Column("error", _Json),
    Column("result", _Json),
    Column("committed", Boolean, nullable=False, server_default=false()),
    # a list pins status and kind (all of them where the caller gave none), so each is a range in the order of age
    Index(None, "status", "kind", "id"),
    Index(None, "name", "status", "kind", "id"),
    Index(
        "ix_jobs_queue",
        text("priority DESC"),
        "id",
        sqlite_where=text("status = 'PENDING'"),
        postgresql_where=text("status = 'PENDING'"),
    ),
)

# Apart from `jobs`, because SQLite writes a whole row anew at each change, and a spec may carry a table of rows.
job_specs = Table(
    "job_specs",
    metadata,
    Column("job_id", _Id, ForeignKey("jobs.id"), primary_key=True),
    Column("size_chars", Integer, nullable=False),
    Column("spec", _Json, nullable=False),
)

job_tags = Table(
    "job_tags",
    metadata,
    Column("job_id", _Id, ForeignKey("jobs.id"), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("value", String(200), nullable=False),
    Index(None, "key", "value", "job_id"),
    Index(None, "key", "job_id"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", _Id, ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("type", String(10), nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("data", _Json, nullable=False),
    sqlite_with_rowid=False,
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event_id", String(100), nullable=False),
    Column("event_type", String(40), nullable=False),
    Column("webhook", String(64), nullable=False),
    Column("body", _Json, nullable=False),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("last_error", String(300)),
    # an event that is told twice, as after a crash, is delivered once
    UniqueConstraint("event_id", "webhook"),
    Index(None, "status", "next_at"),
)
