"""vmambair app: a local web page to restore and compare pictures."""
