"""The scans on GPUs, as Triton kernels."""
