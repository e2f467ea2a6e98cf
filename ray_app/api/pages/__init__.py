"""Pages that the service shows, each one file with all that it needs."""
