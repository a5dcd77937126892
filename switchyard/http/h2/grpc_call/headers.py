"""The header fields of gRPC calls and of their responses, parsed once and kept encoded for forwarding.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.request_headers import GRPC, RequestHeaders, is_plain
from switchyard.http.request_errors import BadRequestError
from switchyard.http.web_access import WebAccess
from switchyard.rpc import status, timeouts
from switchyard.rpc.status import RpcError, RpcStatus

# How messages are encoded: forwarded with the messages, and not part of a call's metadata.
_FRAMING = frozenset((b"content-type", b"grpc-encoding", b"grpc-accept-encoding", b"grpc-message-type"))
# They belong to one hop. http/headers.py says which others cross which edge, for HTTP and gRPC alike.
_HOP_FIELDS = _FRAMING | {b"host", b"te", b"content-length", b"expect"}
_RESERVED = b"grpc-"
ENCODINGS = (b"identity", b"gzip", b"deflate")
ACCEPTED = ((b"grpc-accept-encoding", b"identity,deflate,gzip"),)
_BINARY = b"-bin"
_NAME = re.compile(rb"[0-9a-z_.-]+")

Fault = tuple[RpcStatus, str]

NO_STATUS = "the server's response is not gRPC: it has no grpc-status, or no headers"
RESPONSE_HEADERS = [(b":status", b"200"), (b"content-type", b"application/grpc")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcRequest:
    """The headers of a call; ``timeout`` is in seconds, ``opening`` and ``framing`` are encoded fields.

    ``fields`` is the metadata for look-ups; ``fault`` is the response to a call that no handler may have.
    """

    path: str
    metadata: tuple[Field, ...]
    fields: dict[bytes, bytes]
    timeout: float | None
    fault: RpcError | None
    encoding: bytes
    opening: bytes
    framing: bytes

    def block(self, authority: bytes, timeout: float | None, metadata: bytes) -> bytes:
        """Encode the call's headers for ``authority``; that and ``metadata`` are encoded fields."""
        limit = b"" if timeout is None else literals([(b"grpc-timeout", timeouts.encode(timeout))])
        return b"".join((self.opening, authority, self.framing, limit, metadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcResponse:
    """The headers of a response, or its trailers.

    ``status`` and ``message`` are gRPC's, where they have them. ``faults`` says why they are not what stands in their
    place, by whether the response has started and whether they end it.
    """

    fields: tuple[Field, ...]
    block: bytes
    status: RpcStatus | None
    message: str
    faults: Mapping[tuple[bool, bool], Fault | None]

    def field(self, name: bytes) -> bytes | None:
        """Return the last value of a field."""
        return dict(self.fields).get(name)

    def without(self, names: frozenset[bytes]) -> "RpcResponse":
        """Return the same headers without the fields of these names."""
        kept = [field for field in self.fields if field[0] not in names]
        return self if len(kept) == len(self.fields) else replace(self, fields=tuple(kept), block=literals(kept))

    def with_metadata(self, metadata: Sequence[Field]) -> bytes:
        """Encode the fields with ``metadata``, which replace the upstream's fields of the same names."""
        names = {name for name, _ in metadata}
        return literals([*(field for field in self.fields if field[0] not in names), *metadata])

    def trailers(self) -> bytes:
        """Encode the fields as trailers, for a response whose headers were sent before."""
        return literals([field for field in self.fields if field[0] not in (b":status", b"content-type")])


def end_fields(
    ended: RpcStatus,
    message: str = "",
    metadata: Sequence[Field] = (),
    *,
    started: bool,
    opening: Sequence[Field] = (),
) -> list[Field]:
    """Return the trailers of a response, with ``opening`` and what else its headers would say unless it ``started``."""
    fields: list[Field] = [*([] if started else RESPONSE_HEADERS), (b"grpc-status", b"%d" % ended)]
    if message:
        fields.append((b"grpc-message", status.encode_message(message)))
    fields.extend((*metadata, *(() if started else opening)))
    return fields


def read_request(headers: RequestHeaders, access: WebAccess | None = None) -> RpcRequest:
    found = dict(headers.fields)
    timeout: float | None = None
    fault: RpcError | None = None
    encoding = found.get(b"grpc-encoding", b"identity")
    metadata = tuple(field for field in headers.fields if not _is_hop_field(field[0]))
    try:
        if access is not None:
            access.check(headers.method, found)
        timeout = timeouts.parse(found[b"grpc-timeout"]) if b"grpc-timeout" in found else None
        _check_metadata(metadata)
        check_encoding(encoding)
    except ValueError as err:
        fault = RpcError(RpcStatus.INVALID_ARGUMENT, str(err))
    except BadRequestError as err:
        fault = RpcError(status.of_http(err.status), str(err))
    except RpcError as err:
        fault = err.with_traceback(None)  # it is kept with the headers, and frames would be too
    framing = [(b"te", b"trailers"), *(field for field in headers.fields if field[0] in _FRAMING)]
    return RpcRequest(
        path=headers.target.decode("latin-1"),
        metadata=metadata,
        fields=dict(metadata),
        timeout=timeout,
        fault=fault,
        encoding=encoding,
        opening=literals([(b":method", b"POST"), (b":scheme", b"http"), (b":path", headers.target)]),
        framing=literals(framing),
    )


def check_encoding(encoding: bytes) -> None:
    """Check that a server behind knows the encoding of messages; Triton's library closes the connection for another.

    Raises:
        RpcError: it is another; the error names those that are known.
    """
    if encoding not in ENCODINGS:
        name = encoding[:20].decode("latin-1")
        text = f"the message encoding {name!r} is not supported; use identity, gzip or deflate"
        raise RpcError(RpcStatus.UNIMPLEMENTED, text, ACCEPTED)


def _check_metadata(fields: Sequence[Field]) -> None:
    """Check what gRPC's libraries take for an error of the call, or of the whole connection, which others may share.

    Raises:
        ValueError: a name has other characters than gRPC's, or the value of a binary field is no base64.
    """
    for name, value in fields:
        if not _NAME.fullmatch(name):
            text = name[:80].decode("latin-1")
            raise ValueError(f"metadata {text!r}: names have lower-case letters, digits, hyphens, underscores and dots")
        if name.endswith(_BINARY) and not _is_base64(value):
            raise ValueError(f"metadata {name[:80].decode()!r} is no base64, which names that end in -bin ask for")


def _is_base64(value: bytes) -> bool:
    """Return whether all readers take ``value`` for the same bytes; its padding may be left out."""
    plain = value.rstrip(b"=")
    try:
        data = binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True) if plain else b""
    except binascii.Error:
        return False
    return binascii.b2a_base64(data, newline=False).rstrip(b"=") == plain


def _is_hop_field(name: bytes) -> bool:
    return name in _HOP_FIELDS or name.startswith(_RESERVED)


def read_response(fields: list[Field]) -> RpcResponse:
    found = dict(fields)
    grpc_status = found.get(b"grpc-status")
    return RpcResponse(
        fields=tuple(fields),
        block=literals(fields),
        status=None if grpc_status is None else status.of_number(grpc_status),
        message=found.get(b"grpc-message", b"").decode("latin-1"),
        faults={
            (started, end): _fault(fields, found, started=started, end=end)
            for started in (False, True)
            for end in (False, True)
        },
    )


def _fault(fields: list[Field], found: Mapping[bytes, bytes], *, started: bool, end: bool) -> Fault | None:
    http, has_status = found.get(b":status", b""), b"grpc-status" in found
    plain = fields[1:] if fields[:1] == [(b":status", http)] else fields
    # Headers have HTTP's status, trailers have not; and nothing stands between the two.
    if not all(is_plain(name, value) for name, value in plain) or bool(http) is started or (started and not end):
        return RpcStatus.INTERNAL, "the server's response is not gRPC: its headers are malformed"
    if has_status:
        return None
    if http not in (b"", b"200"):
        number = int(http) if http.isdigit() else 0
        return status.of_http_response(number), f"a proxy before the server responded with HTTP status {number}"
    if end:
        return RpcStatus.INTERNAL, NO_STATUS
    if GRPC.fullmatch(found.get(b"content-type", b"")) is None:
        return RpcStatus.UNKNOWN, "the server's response is not gRPC: its content-type is another"
    return None
