"""The one door: OpenAI, V2 REST and V2 gRPC in front of every model of the catalog.

A hot request passes the stages of ``pipeline`` in order: limits, parse, resolve, forward. Tenancy, quotas and the cache
are further stages; none knows the next.
"""
