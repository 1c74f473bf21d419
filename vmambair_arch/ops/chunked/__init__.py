"""The scans in torch's own operations, parallel over chunks: for devices without other kernels."""
