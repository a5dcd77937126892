"""The gateway: OpenAI, Anthropic, V2 REST and V2 gRPC in front of every model of the catalog.

``edges`` make a ``call`` of a request, ``routes`` say who answers it, and the ``stages`` of its route stand around each
other in a ``pipeline``: observe, limits, parse, resolve, forward. None knows the next.
"""
