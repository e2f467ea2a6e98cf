"""A job's life: what it is, its states, the store. No HTTP and no Ray in here."""
