"""HTTP of our own: one server and one client, HTTP/2 and gRPC frames, and what runs ASGI applications on them."""
