"""What the commands of ``vmambair`` do; ``cli.py`` parses for them and prints what they return."""
