"""One small HTTP/1.1 client for upstreams, one small server, and the forwarding between them that others share.

``errors`` ← ``limits`` ← ``origin`` ← ``response`` ← ``connection`` ← ``client`` ← ``forward``; ``grpc_forward`` stands
alone, so that a process without gRPC does not import it. The server's side: ``limits`` and ``forward`` ← ``exchange`` ←
``server_connection`` ← ``server``.
"""
