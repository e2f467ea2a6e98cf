"""Brings up and tears down everything on this machine: Ray, the service, the MLflow page; and says what is wrong."""
