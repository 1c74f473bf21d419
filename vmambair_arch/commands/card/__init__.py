"""vmambair card: what is known of a checkpoint, for people who look for networks."""
