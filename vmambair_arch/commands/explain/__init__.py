"""vmambair explain: which pixels of a picture a network's output depends on."""
