"""vmambair restore: what goes in, what comes out of it, and the work between."""
