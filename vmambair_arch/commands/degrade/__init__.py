"""vmambair degrade: a preview of the degradations that training applies."""
