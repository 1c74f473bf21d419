"""vmambair export: a network for other programs."""
