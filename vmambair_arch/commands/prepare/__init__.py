"""vmambair prepare: prepares folders of images for training."""
