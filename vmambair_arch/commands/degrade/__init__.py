"""vmambair degrade: what a training with degradations is fed."""
