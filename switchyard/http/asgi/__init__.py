"""ASGI: its types, and what applications use to read bodies, relay responses and notice a disconnect."""

from switchyard.http.asgi.types import App, Message, Receive, Scope, Send

__all__ = ["App", "Message", "Receive", "Scope", "Send"]
