"""Monitors: what is kept of them in the job store."""
