"""vmambair explain: which pixels of a picture a network looks at."""
