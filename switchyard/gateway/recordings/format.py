"""What the segments of a recording hold: its head, its chunks with their times, and how it ended.

Entries follow each other without regard to segments: a kind of one byte, milliseconds since the beginning, the number
of bytes, the bytes.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import orjson

from switchyard.http.api_errors import CODES, ApiError, Shape
from switchyard.http.headers import Header
from switchyard.http.usage import Usage, usage_of

_ENTRY = struct.Struct(">cII")
_HEAD, _CHUNK, _END = b"H", b"C", b"E"
_MOST_MILLISECONDS = 2**32 - 1  # 49 days


class FormatError(ValueError):
    """What is stored is no recording, or one of another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How a response began, and of which request it is; ``began`` is in seconds since 1970.

    ``events`` says that its chunks are server-sent events, ``whole`` that it was sent at once, with its length.
    """

    status: int
    headers: tuple[Header, ...]
    route: str
    model: str
    shape: Shape
    request_id: str
    began: float
    events: bool
    whole: bool


class Chunk(NamedTuple):
    """Bytes of the body, which of an event stream are one event, ``at`` milliseconds after the beginning."""

    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that ended a response, as it can be raised for each of its readers."""

    code: str
    message: str
    status: int
    retry_after: float | None
    final: bool
    param: str | None

    @staticmethod
    def of(error: ApiError) -> "Failure":
        return Failure(error.code, error.message, error.status, error.retry_after, error.final, error.param)

    def error(self) -> ApiError:
        """Return a new error: one that is raised by two tasks would gather the frames of both."""
        after, final, param = self.retry_after, self.final, self.param
        return ApiError(self.code, self.message, status=self.status, retry_after=after, final=final, param=param)


@dataclass(frozen=True, slots=True)
class End:
    """How a response ended; ``failure`` is None for one that its model ended, with an error or without."""

    failure: Failure | None = None
    usage: Usage | None = None


Entry = Head | Chunk | End


def encode_head(head: Head) -> bytes:
    """Return a head as an entry."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
    fields = {name: getattr(head, name) for name in Head.__dataclass_fields__ if name != "headers"}
    return _entry(_HEAD, 0, orjson.dumps({**fields, "headers": headers}))


def encode_chunk(at: int, data: bytes) -> bytes:
    """Return a chunk as an entry."""
    return _ENTRY.pack(_CHUNK, at if at < _MOST_MILLISECONDS else _MOST_MILLISECONDS, len(data)) + data


def encode_end(at: int, end: End) -> bytes:
    """Return an end as an entry."""
    fields: dict[str, Any] = {}
    if end.failure is not None:
        fields["failure"] = {name: getattr(end.failure, name) for name in Failure.__dataclass_fields__}
    if end.usage is not None:
        fields["usage"] = orjson.Fragment(end.usage.as_json())
    return _entry(_END, at, orjson.dumps(fields))


def _entry(kind: bytes, at: int, data: bytes) -> bytes:
    return _ENTRY.pack(kind, min(at, _MOST_MILLISECONDS), len(data)) + data


class Decoder:
    """Reads entries from segments, which may be cut anywhere."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Entry]:
        """Yield the entries that ``data`` completes; all of them must be taken.

        Raises:
            FormatError: it is no part of a recording.
        """
        data, at = self._rest + data, 0
        while len(data) - at >= _ENTRY.size:
            kind, milliseconds, size = _ENTRY.unpack_from(data, at)
            start = at + _ENTRY.size
            if kind not in (_HEAD, _CHUNK, _END):
                raise FormatError("an entry of no known kind")
            if len(data) < start + size:
                break
            at = start + size
            yield _decoded(kind, milliseconds, data[start:at])
        self._rest = data[at:]


def _decoded(kind: bytes, at: int, data: bytes) -> Entry:
    if kind == _CHUNK:
        return Chunk(at, data)
    try:
        fields = orjson.loads(data)
        return _head(fields) if kind == _HEAD else _end(fields)
    except (ValueError, LookupError, TypeError, AttributeError) as err:
        raise FormatError(f"an entry of kind {kind.decode()} that cannot be read") from err


def _head(fields: Mapping[str, Any]) -> Head:
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields["headers"])
    shape, status = fields["shape"], int(fields["status"])
    if shape not in get_args(Shape) or not 200 <= status <= 599:
        raise ValueError("no response of ours")
    return Head(
        status=status,
        headers=headers,
        route=str(fields["route"]),
        model=str(fields["model"]),
        shape=shape,
        request_id=str(fields["request_id"]),
        began=float(fields["began"]),
        events=bool(fields["events"]),
        whole=bool(fields["whole"]),
    )


def _end(fields: Mapping[str, Any]) -> End:
    failed, usage = fields.get("failure"), fields.get("usage")
    failure = None
    if failed is not None:
        failure = Failure(**failed)
        if failure.code not in CODES or not isinstance(failure.status, int):
            raise ValueError("no error of ours")
    return End(failure, None if usage is None else usage_of(usage))
