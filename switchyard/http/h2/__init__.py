"""HTTP/2 passed on frame by frame, for gRPC calls whose messages nobody here needs to understand."""
