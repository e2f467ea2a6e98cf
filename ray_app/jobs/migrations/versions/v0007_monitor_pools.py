"""What came of an alarm whose rows were labelled: the pool, and whether its labels confirm concept drift."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds two columns."""
    op.add_column(
        "monitor_actions", sa.Column("pool_id", sa.String(40).with_variant(sa.String(40, collation="C"), "postgresql"))
    )
    op.add_column("monitor_actions", sa.Column("confirmation", sa.JSON))
