"""What an option file may say, and everything that can be found wrong with one before a run."""
