"""The errors that the commands answer with one sentence, and their exit codes."""


class InputError(ValueError):
    """What was found, where, what to do; a sentence, or several in lines of their own.

    The commands print them and exit with 2.
    """


class TrainingError(RuntimeError):
    """Why training cannot go on. The commands print it and exit with 1."""


class StoppedError(Exception):
    """A signal asked training to stop. The commands exit with 130 (SIGINT) or 143 (SIGTERM).

    Args:
        number: the signal's number.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by signal {number}")
        self.exit_code = 128 + number
