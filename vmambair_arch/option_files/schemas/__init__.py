"""The schema of option files: pydantic models of their sections, and of signatures."""
