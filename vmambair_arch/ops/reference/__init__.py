"""Each scan by its formula, step by step in torch: what every other backend is held against."""
