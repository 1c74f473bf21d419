"""Reading option files, and checking them as far as possible before a run."""
