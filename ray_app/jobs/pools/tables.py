"""The tables of the pools. What creates them are the migrations; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from ray_app.jobs.tables import UtcDateTime, metadata

# compared byte by byte, whatever language the database was made for: the order of ids is that of age
_Id = String(40).with_variant(String(40, collation="C"), "postgresql")
_Text = String(500).with_variant(String(500, collation="C"), "postgresql")
_Json = JSON(none_as_null=True)

pools = Table(
    "pools",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("idempotency_key", String(255), unique=True),
    Column("spec_hash", String(64), nullable=False),
    Column("spec", _Json, nullable=False),
    Column("state", _Json, nullable=False),
)

# `cells` is what a labeller was shown: it stays true when the source changes
pool_items = Table(
    "pool_items",
    metadata,
    Column("pool_id", _Id, ForeignKey("pools.id"), primary_key=True),
    Column("row_id", _Text, primary_key=True),
    Column("part", String(10), nullable=False),
    Column("status", String(10), nullable=False),
    Column("position", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("cost", Float, nullable=False),
    Column("row_hash", String(16), nullable=False),
    Column("label", _Json),
    Column("why", _Json, nullable=False),
    Column("cells", _Json, nullable=False),
    Index(None, "pool_id", "status", "position"),
)

# History: nothing is ever changed but `is_current`, which a correction takes away from the label before.
pool_labels = Table(
    "pool_labels",
    metadata,
    Column("pool_id", _Id, ForeignKey("pools.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("row_id", _Text, nullable=False),
    Column("labeller", String(100), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("label", _Json),
    Column("is_current", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "pool_id", "row_id"),
)

pool_leases = Table(
    "pool_leases",
    metadata,
    Column("pool_id", _Id, ForeignKey("pools.id"), primary_key=True),
    Column("row_id", _Text, primary_key=True),
    Column("labeller", String(100), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

pool_rounds = Table(
    "pool_rounds",
    metadata,
    Column("pool_id", _Id, ForeignKey("pools.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("job_id", _Id, nullable=False),
    Column("version", String(20)),
    Column("labels", Integer, nullable=False),
    Column("evidence", _Json),
    Column("created_at", UtcDateTime, nullable=False),
)
