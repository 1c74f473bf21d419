"""A training run: its loop, when it stops, what it measures, and what it tells and records."""
