"""vmambair check: an experiment before it runs."""
