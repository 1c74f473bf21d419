"""The error for what a user gave and cannot be used."""


class InputError(ValueError):
    """One sentence: what was found, where, what to do. The commands print it and exit with 2."""
