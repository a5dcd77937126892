"""Clients that want a server to do more than they do themselves, and what that costs it and its other clients."""
