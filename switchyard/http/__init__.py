"""One small HTTP/1.1 client for upstreams, and the forwarding that gateway and activator share.

``errors`` ← ``limits`` ← ``origin`` ← ``response`` ← ``connection`` ← ``client`` ← ``forward``; ``grpc_forward`` stands
alone, so that a process without gRPC does not import it.
"""
