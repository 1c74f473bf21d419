"""vmambair compare: results measured against ground truth, in tables and on a page."""
