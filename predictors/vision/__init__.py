"""Images in, text or labels out: the predictor in front of Triton, and every Triton model by its own name."""

# Local mode imports this once and forks from there; a start does not wait for it, because its imports are quick.
PRELOAD = ("predictors.vision.assembly",)
