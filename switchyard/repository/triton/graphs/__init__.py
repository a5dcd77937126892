"""ONNX graphs: what one declares, whether it can be run, and whether config.pbtxt describes it."""
