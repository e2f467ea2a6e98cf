"""The `mts` command: runs the service on this machine, and talks to it over HTTP."""

from ray_app.cli.application import main

__all__ = ["main"]
