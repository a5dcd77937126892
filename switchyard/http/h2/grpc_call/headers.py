"""The header fields of gRPC calls and of their responses, read once and kept ready to be sent on.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from collections.abc import Sequence
from dataclasses import dataclass

from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.request_head import Head, is_plain
from switchyard.rpc import status, timeouts
from switchyard.rpc.status import RpcStatus

# How messages are encoded: it goes where they go, and is no metadata.
_FRAMING = frozenset((b"content-type", b"grpc-encoding", b"grpc-accept-encoding", b"grpc-message-type"))
# About one hop alone. What crosses which edge beyond that is said in http/headers.py, for both transports.
_OF_THE_HOP = _FRAMING | {b"host", b"te", b"content-length", b"expect"}
_RESERVED = b"grpc-"

OPENING = [(b":status", b"200"), (b"content-type", b"application/grpc")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcRequest:
    """What a call says before its messages; ``timeout`` is in seconds, ``opening`` and ``framing`` are encoded."""

    path: str
    metadata: tuple[Field, ...]
    timeout: float | None
    malformed: str
    encoding: bytes
    opening: bytes
    framing: bytes

    def block(self, authority: bytes, timeout: float | None, metadata: bytes) -> bytes:
        """The header fields of the call on its way to ``authority``; both byte strings are encoded fields."""
        limit = b"" if timeout is None else literals([(b"grpc-timeout", timeouts.encode(timeout))])
        return b"".join((self.opening, authority, self.framing, limit, metadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcResponse:
    """Header fields of a response, or its trailers.

    ``status`` is gRPC's when they have it, ``http`` is HTTP's, empty in trailers.
    """

    fields: tuple[Field, ...]
    block: bytes
    http: bytes
    status: RpcStatus | None
    malformed: bool

    def with_metadata(self, metadata: Sequence[Field]) -> bytes:
        """The same fields, but for those of ``metadata``, which take the place of the upstream's."""
        names = {name for name, _ in metadata}
        return literals([*(field for field in self.fields if field[0] not in names), *metadata])

    def trailers(self) -> bytes:
        """The same fields for a response that has begun."""
        return literals([field for field in self.fields if field[0] not in (b":status", b"content-type")])


def read_request(head: Head) -> RpcRequest:
    found = dict(head.headers)
    timeout, malformed = None, ""
    try:
        timeout = timeouts.parse(found[b"grpc-timeout"]) if b"grpc-timeout" in found else None
    except ValueError as err:
        malformed = str(err)
    framing = [(b"te", b"trailers"), *(field for field in head.headers if field[0] in _FRAMING)]
    return RpcRequest(
        path=head.target.decode("latin-1"),
        metadata=tuple(field for field in head.headers if not _is_of_the_hop(field[0])),
        timeout=timeout,
        malformed=malformed,
        encoding=found.get(b"grpc-encoding", b"identity"),
        opening=literals([(b":method", b"POST"), (b":scheme", b"http"), (b":path", head.target)]),
        framing=literals(framing),
    )


def _is_of_the_hop(name: bytes) -> bool:
    return name in _OF_THE_HOP or name.startswith(_RESERVED)


def read_response(fields: list[Field]) -> RpcResponse:
    found = dict(fields)
    said, http = found.get(b"grpc-status"), found.get(b":status", b"")
    plain = fields[1:] if fields[:1] == [(b":status", http)] else fields
    return RpcResponse(
        fields=tuple(fields),
        block=literals(fields),
        http=http,
        status=None if said is None else status.of_number(said),
        malformed=not all(is_plain(name, value) for name, value in plain),
    )
