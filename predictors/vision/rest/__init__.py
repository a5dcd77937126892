"""The HTTP side of the vision predictor."""
