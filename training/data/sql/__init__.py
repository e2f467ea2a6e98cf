"""Databases: named connections, read-only reading into Arrow."""
