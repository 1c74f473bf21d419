"""The commands of ``vmambair``, each with its arguments; ``cli.py`` builds the parser from them."""
