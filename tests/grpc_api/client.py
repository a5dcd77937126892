"""A client of HTTP/2 that sends exactly what it is told, what became of each call, and whether that is right."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import hpack

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.rpc.status import RpcStatus
from tests.grpc_api.calls import Call

SECONDS = 30.0  # for any call, a hundred times what it takes; more is a hang
_WINDOW = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call ended: by a status of gRPC, by one of HTTP, by a code of RST_STREAM or GOAWAY, or not at all."""

    call: Call
    status: int | None = None
    message: str = ""
    http: str = ""
    reset: int | None = None
    closed: bool = False


# Statuses that say what was wrong with a call, or nothing.
_CLEAR = frozenset(
    RpcStatus[name]
    for name in ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION")
)
# What gRPC's libraries say, with INTERNAL, of frames and messages that they cannot read:
# https://grpc.github.io/grpc/core/md_doc_statuscodes.html
_LIBRARIES = ("Unable to parse request", "Compression bit set", "Decompression failed", "Exception deserializing")


def problems(outcomes: Iterable[Outcome]) -> list[str]:
    """What is not as it should be, one line for each call."""
    return [f"{_end(one)}: {one.call.path} {one.call.odd} {_start(one.call)}" for one in outcomes if not _right(one)]


def _right(one: Outcome) -> bool:
    if one.status is None:
        ended = one.closed or one.reset is not None or one.http.startswith("4")
        return not one.call.ends or (ended and bool(one.call.odd) and (one.call.breaks or not one.closed))
    by_library = one.status == RpcStatus.INTERNAL and one.message.startswith(_LIBRARIES)
    in_time = one.status == RpcStatus.DEADLINE_EXCEEDED and "timeout" in one.call.odd
    return one.status in _CLEAR or by_library or in_time


def _end(one: Outcome) -> str:
    if one.status is not None:
        return f"{RpcStatus(one.status).name} {one.message}"
    return f"HTTP {one.http}, reset {one.reset}, closed {one.closed}"


def _start(call: Call) -> str:
    data = b"".join(call.data)
    return f"{data[:300].hex()} ({len(data)} bytes)"


def ask(port: int, calls: Iterable[Call], *, at_once: int = 10) -> list[Outcome]:
    """Make all ``calls``, ``at_once`` at a time on one connection."""
    return asyncio.run(_ask(port, [*calls], at_once))


async def _ask(port: int, calls: Sequence[Call], at_once: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for batch in _batches(calls, at_once):
        outcomes += await _Connection().run(port, batch)
    return outcomes


def _batches(calls: Sequence[Call], at_once: int) -> Iterator[list[Call]]:
    """Calls that share a connection; one that may end it has its own."""
    batch: list[Call] = []
    for call in calls:
        if call.odd:
            yield [call]
            continue
        batch.append(call)
        if len(batch) == at_once:
            yield batch
            batch = []
    if batch:
        yield batch


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return frames.frame_header(len(payload), kind, flags, stream) + payload


class _Connection:
    def __init__(self) -> None:
        self._decoder = hpack.Decoder()
        self._found: dict[int, dict[str, str]] = {}
        self._reset: dict[int, int] = {}
        self._ended: set[int] = set()
        self._block = b""

    async def run(self, port: int, calls: Sequence[Call]) -> list[Outcome]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: _WINDOW}))
        writer.write(frames.uint32_frame(frames.WINDOW_UPDATE, 0, _WINDOW))
        numbers = {1 + 2 * place: call for place, call in enumerate(calls)}
        for number, call in numbers.items():
            writer.write(self._encoded(number, call))
        waited = {number for number, call in numbers.items() if call.ends}
        closed = False
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(SECONDS):
                closed = not await self._read(reader, waited)
        for number in numbers.keys() - waited:
            writer.write(frames.uint32_frame(frames.RST_STREAM, number, frames.CANCEL))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return [self._outcome(number, call, closed=closed) for number, call in numbers.items()]

    def _encoded(self, number: int, call: Call) -> bytes:
        given: list[Field] = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"localhost")]
        given += [(b":path", call.path.encode()), (b"content-type", b"application/grpc"), (b"te", b"trailers")]
        block = literals([*given, *call.fields])
        last = frames.END_STREAM if call.ends else 0
        sent: list[bytes] = []
        rest, kind, flags = block, frames.HEADERS, 0 if call.data else last
        while rest or not sent:
            part, rest = rest[:16384], rest[16384:]
            sent.append(_frame(kind, flags | (0 if rest else frames.END_HEADERS), number, part))
            kind, flags = frames.CONTINUATION, 0
        chunks = [data[at : at + 16384] for data in call.data for at in range(0, max(len(data), 1), 16384)]
        for place, chunk in enumerate(chunks, 1):
            sent.append(_frame(frames.DATA, last if place == len(chunks) else 0, number, chunk))
        if call.after:
            sent.append(_frame(call.after[0], call.after[1], number, call.after[2:]))
        return b"".join(sent)

    async def _read(self, reader: asyncio.StreamReader, waited: set[int]) -> bool:
        """Read until all calls have ended; return False when the server ended the connection before."""
        while waited - self._ended:
            try:
                header = await reader.readexactly(frames.FRAME_HEADER_BYTES)
                payload = await reader.readexactly(int.from_bytes(header[:3], "big"))
            except asyncio.IncompleteReadError:
                return False
            self._take(header[3], header[4], int.from_bytes(header[5:], "big"), payload)
        return True

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == frames.RST_STREAM:
            self._reset[number] = int.from_bytes(payload, "big")
            self._ended.add(number)
        elif kind in (frames.HEADERS, frames.CONTINUATION):
            self._block += payload
            if flags & frames.END_HEADERS:
                fields = self._decoder.decode(self._block, raw=True)
                texts = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
                self._found.setdefault(number, {}).update(texts)
                self._block = b""
        if flags & frames.END_STREAM and kind in (frames.HEADERS, frames.DATA):
            self._ended.add(number)

    def _outcome(self, number: int, call: Call, *, closed: bool) -> Outcome:
        found = self._found.get(number, {})
        status, http = found.get("grpc-status"), found.get(":status", "")
        return Outcome(
            call=call,
            status=None if status is None else int(status),
            message=found.get("grpc-message", ""),
            http="" if http == "200" else http,
            reset=self._reset.get(number),
            closed=closed,
        )
