"""Triton's layout, and any ONNX graph: ``vision/<model>/config.pbtxt`` and ``vision/<model>/<version>/model.onnx``."""
