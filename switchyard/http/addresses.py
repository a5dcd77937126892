"""The two ends of a connection."""

import asyncio

Address = tuple[str, int]


def address_of(transport: asyncio.BaseTransport, name: str) -> Address | None:
    """Return a socket's address; None when the client has disconnected, and for a socket without addresses."""
    address = transport.get_extra_info(name)
    return address[:2] if isinstance(address, tuple) and len(address) >= 2 else None
