"""Each scan by its formula, step by step in torch: the reference for every other backend."""
