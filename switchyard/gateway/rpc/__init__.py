"""V2 gRPC at the gateway."""
