"""Feature stores: rows with the feature values that were known at their time."""
