"""V2 gRPC asked by clients that break protobuf, gRPC and HTTP/2: each call ends with a status, and nothing is left."""
