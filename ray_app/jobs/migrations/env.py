"""Run by Alembic: takes the connection, and with it the transaction and the lock, from ray_app.jobs.migrate."""

from __future__ import annotations

from alembic import context

from ray_app.jobs.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
