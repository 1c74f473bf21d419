"""What is checked and measured, a part a file; each has results(device), which yields them."""
