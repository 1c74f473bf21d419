"""The scans on the CPU, compiled by Numba."""
