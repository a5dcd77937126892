"""Which models Triton has loaded, and in which state each is."""
