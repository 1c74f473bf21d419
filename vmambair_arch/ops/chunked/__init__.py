"""The scans in torch operations, parallel over chunks: for devices that have no kernels of ours."""
