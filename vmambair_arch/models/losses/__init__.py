"""Losses that BasicSR lacks, a kind per file; ``plugin.py`` registers them."""
