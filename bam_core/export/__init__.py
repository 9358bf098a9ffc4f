"""Trained networks as single files, ONNX or torch.export, with their preprocessing inside."""
