"""Networks taken elsewhere: traced, in plain operators, as ONNX and torch.export files."""
