"""Text in figures that Matplotlib draws letter by letter."""


def literal(text: str) -> str:
    """A name, in which two dollars shall not begin a formula."""
    return text.replace("$", r"\$")
