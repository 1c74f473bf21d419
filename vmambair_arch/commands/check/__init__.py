"""vmambair check: checks an experiment before it runs."""
