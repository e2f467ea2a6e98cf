"""Models in use are watched: predictions and outcomes come back, drift and falling quality are seen, and acted upon."""
