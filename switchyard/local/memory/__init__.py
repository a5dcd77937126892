"""The memory of this machine, planned over all models that are awake."""
