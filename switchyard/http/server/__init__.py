"""The server: one port, one handler for each request."""

from switchyard.http.server.exchange import Exchange
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.server import Handler, Server

__all__ = ["Exchange", "Handler", "Server", "ServerLimits"]
