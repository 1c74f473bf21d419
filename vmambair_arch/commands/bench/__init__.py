"""vmambair bench: speed and memory of the scans and of whole networks, in one run."""
