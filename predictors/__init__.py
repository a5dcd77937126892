"""Custom KServe predictors; each runs as ``python -m predictors.<name>``."""
