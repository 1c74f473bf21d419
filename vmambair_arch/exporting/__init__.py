"""Exporting networks to other programs: traced, in plain operators, to ONNX and torch.export."""
