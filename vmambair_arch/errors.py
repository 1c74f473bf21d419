"""The error for what a user gave and cannot be used."""


class InputError(ValueError):
    """What was found, where, what to do; a sentence, or several in lines of their own.

    The commands print them and exit with 2.
    """
