"""The machine: memory, threads, processes, the terminal, locks and types of files."""
