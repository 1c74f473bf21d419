"""How long tests wait for something that must happen, on a busy machine."""

PATIENCE = 600  # seconds
