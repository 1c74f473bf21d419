"""The networks, in plain torch: their parts, configurations and released names."""
