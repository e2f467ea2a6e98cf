"""Active learning: which rows of a pool to label next, what that gains, and when to stop."""
