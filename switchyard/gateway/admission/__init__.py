"""Fair admission: which tenant's call is next when a model has no free place, and how many may wait."""
