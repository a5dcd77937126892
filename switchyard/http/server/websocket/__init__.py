"""WebSockets (RFC 6455) at the server's port."""
