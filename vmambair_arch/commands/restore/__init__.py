"""vmambair restore: finds the inputs, names the outputs, and restores."""
