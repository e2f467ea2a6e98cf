"""Breaks a running service on purpose, and looks whether its promises hold: `make chaos`."""
