"""Delivery of the training pipeline: HTTP on Ray Serve, the job dispatcher, the command line."""
