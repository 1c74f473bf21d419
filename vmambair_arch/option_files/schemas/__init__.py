"""What option files may say: pydantic models of their sections, and of signatures."""
