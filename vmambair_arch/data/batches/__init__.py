"""From data sets to the batches of a training: their order, sizes, loading and failures."""
