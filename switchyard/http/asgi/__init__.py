"""ASGI: the types, and what applications need to read bodies, relay and notice a disconnect."""

from switchyard.http.asgi.types import App, Message, Receive, Scope, Send

__all__ = ["App", "Message", "Receive", "Scope", "Send"]
