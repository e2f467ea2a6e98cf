"""A small consumer of the training service."""
