"""Metadata of gRPC calls: what goes on to the next hop."""

from collections.abc import Sequence

Metadata = Sequence[tuple[str, str | bytes]]


_NOT_FORWARDED = frozenset(("user-agent", "authorization", "x-api-key", "te", "content-type"))


_INTERNAL = ("x-switchyard-", "grpc-", ":")


def forwarded(metadata: Metadata) -> list[tuple[str, str | bytes]]:
    """``metadata`` without credentials and what belongs to this hop or to the platform."""
    return [(key, value) for key, value in metadata if key not in _NOT_FORWARDED and not key.startswith(_INTERNAL)]
