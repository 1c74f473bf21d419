"""A training run: its loop, when it stops, and what it measures, logs and records."""
