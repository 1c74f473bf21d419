"""Single options: kinds of values, and messages for invalid ones."""
