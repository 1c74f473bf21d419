"""vmambair app: a page on this machine where pictures are dropped, restored and compared."""
