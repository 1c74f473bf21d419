"""What BasicSR's data sets lack."""
