"""Pools of rows to label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0001"

_ID = sa.String(40).with_variant(sa.String(40, collation="C"), "postgresql")
_TEXT = sa.String(500).with_variant(sa.String(500, collation="C"), "postgresql")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the five tables."""
    op.create_table(
        "pools",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pools"),
        sa.UniqueConstraint("idempotency_key", name="uq_pools_idempotency_key"),
    )
    _create_items()
    op.create_table(
        "pool_labels",
        _pool("pool_labels"),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("row_id", _TEXT, nullable=False),
        sa.Column("labeller", sa.String(100), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("label", sa.JSON),
        sa.Column("is_current", sa.Boolean, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "seq", name="pk_pool_labels"),
    )
    op.create_index("ix_pool_labels_pool_id_row_id", "pool_labels", ["pool_id", "row_id"])
    op.create_table(
        "pool_leases",
        _pool("pool_leases"),
        sa.Column("row_id", _TEXT, nullable=False),
        sa.Column("labeller", sa.String(100), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "row_id", "labeller", name="pk_pool_leases"),
    )
    op.create_table(
        "pool_rounds",
        _pool("pool_rounds"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("version", sa.String(20)),
        sa.Column("labels", sa.Integer, nullable=False),
        sa.Column("evidence", sa.JSON),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "number", name="pk_pool_rounds"),
    )


def _create_items() -> None:
    op.create_table(
        "pool_items",
        _pool("pool_items"),
        sa.Column("row_id", _TEXT, nullable=False),
        sa.Column("part", sa.String(10), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("row_hash", sa.String(16), nullable=False),
        sa.Column("label", sa.JSON),
        sa.Column("why", sa.JSON, nullable=False),
        sa.Column("cells", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "row_id", name="pk_pool_items"),
    )
    op.create_index("ix_pool_items_pool_id_status_position", "pool_items", ["pool_id", "status", "position"])


def _pool(table: str) -> sa.Column[str]:
    return sa.Column("pool_id", _ID, sa.ForeignKey("pools.id", name=f"fk_{table}_pool_id"), nullable=False)
