"""Specs, data and programs to start from."""
