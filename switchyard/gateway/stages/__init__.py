"""The stages of a request, one module each; none knows the next."""
