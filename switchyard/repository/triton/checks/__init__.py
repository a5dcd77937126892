"""What may be wrong in a folder beside its graphs: the configuration, versions, labels, samples, steps and code."""
