"""Metadata of gRPC calls: what goes on to the next hop, by the edge that it crosses.

What belongs to HTTP/2, to the encoding of messages and to the timeout is no metadata and crosses no edge as such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Field = tuple[bytes, bytes]
Metadata = Sequence[tuple[str, str | bytes]]  # as grpc.aio has them

INTERNAL: Final = b"x-switchyard-"  # what the platform says of a call
_OF_THIS_HOP: Final = frozenset((b"user-agent", b"host", b"te", b"content-type"))
_CREDENTIALS: Final = frozenset((b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"))
_RESERVED: Final = (b"grpc-", b":")  # gRPC's own names and HTTP/2's


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What stays behind: fields of the names ``dropped``, and those whose names begin with one of ``prefixes``."""

    dropped: frozenset[bytes]
    prefixes: tuple[bytes, ...]

    def passes(self, name: bytes) -> bool:
        return name not in self.dropped and not name.startswith(self.prefixes)

    def onward(self, metadata: Iterable[Field]) -> list[Field]:
        """The fields that cross the edge, in their order."""
        return [field for field in metadata if self.passes(field[0])]


# From the gateway to a model's server: the caller's key is the gateway's business alone.
TO_MODEL: Final = Edge(dropped=_OF_THIS_HOP | _CREDENTIALS, prefixes=(INTERNAL, *_RESERVED))
# From local mode's activator to a replica, as Knative's proxies do it.
TO_REPLICA: Final = Edge(dropped=_OF_THIS_HOP, prefixes=_RESERVED)
# From a predictor to its engine, which gets the predictor's own trace context.
TO_ENGINE: Final = Edge(dropped=_OF_THIS_HOP | _CREDENTIALS | {b"traceparent"}, prefixes=(INTERNAL, *_RESERVED))


def value_of(metadata: Iterable[Field], name: bytes) -> bytes | None:
    """The first value of the field ``name``."""
    return next((value for key, value in metadata if key == name), None)


def forwarded(metadata: Metadata, edge: Edge = TO_MODEL) -> list[tuple[str, str | bytes]]:
    """The same for calls of grpc.aio."""
    return [(key, value) for key, value in metadata if edge.passes(key.encode())]
