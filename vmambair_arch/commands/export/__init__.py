"""vmambair export: exports a network to other programs."""
