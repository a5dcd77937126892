"""The gateway: OpenAI, Anthropic, V2 REST and V2 gRPC in front of every model of the catalog.

``edges`` create a ``call`` from a request, ``routes`` say what responds to it, and the ``stages`` of its route are
nested in a ``pipeline``: observe, limits, parse, resolve, forward. No stage knows the next.
"""
