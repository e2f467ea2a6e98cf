"""Training of models on structured data: usable alone, with no service around it."""
