"""The history of the job store's tables: numbered steps that Alembic runs. A released step never changes."""

HEAD = "0008"
"""The newest step that this release knows; a test holds it equal to what the folder `versions` has."""
