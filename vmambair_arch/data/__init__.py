"""Data sets, readers and loaders that BasicSR lacks."""
