"""Pictures of reports: curves over a training, speed against size, dots."""
