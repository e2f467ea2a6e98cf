"""Pools of rows to label, in the same database as the jobs: their rows, leases, labels and rounds."""
