"""Restores pictures in tiles: chooses their size, runs them and joins them."""
