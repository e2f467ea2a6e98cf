"""The dispatcher: a detached actor that alone writes the job store and hands jobs to Ray as tasks."""

from ray_app.dispatcher.client import connect

__all__ = ["connect"]
