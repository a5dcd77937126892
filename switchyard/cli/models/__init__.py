"""``switchyard model``: brings models into the repository, says what is known of them, and takes them out."""
