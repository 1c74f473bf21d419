"""vmambair prepare: folders of images made ready for training."""
