"""vmambair compare: results beside their ground truth, measured, tabled and shown."""
