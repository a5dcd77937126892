"""Many requests over one WebSocket; docs/reference/websocket.md is its description."""
