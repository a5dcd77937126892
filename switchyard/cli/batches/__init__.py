"""``switchyard batch``: many requests in a file, at a running gateway."""
