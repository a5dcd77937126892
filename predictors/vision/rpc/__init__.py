"""The gRPC side of the vision predictor."""
