"""The machine: its memory and its processes."""
