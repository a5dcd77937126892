"""What a cluster adds to a start and to a request."""
