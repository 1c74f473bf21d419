"""How long tests wait for what must come, on a machine with much else to do."""

PATIENCE = 600  # seconds
