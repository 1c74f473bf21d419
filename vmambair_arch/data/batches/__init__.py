"""From data sets to the batches of a training: order, sizes, loading and failures."""
