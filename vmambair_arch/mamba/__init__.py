"""Stand-ins for mamba-ssm and causal-conv1d, built on our scan, for where those are missing."""
