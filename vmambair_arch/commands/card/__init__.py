"""vmambair card: a model card from what is known about a checkpoint."""
