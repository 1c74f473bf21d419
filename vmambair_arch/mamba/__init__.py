"""What networks import of mamba-ssm and causal-conv1d, by our scan, where those are missing."""
