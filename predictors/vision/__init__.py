"""Pictures in, text or labels out: the predictor in front of Triton, and every Triton model by its own name."""
