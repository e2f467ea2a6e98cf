"""Whether an attempt was let register a version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds a column."""
    op.add_column("jobs", sa.Column("committed", sa.Boolean, nullable=False, server_default=sa.false()))
