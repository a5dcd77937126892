"""What a connection that lives for hours must keep: whole windows, no streams left behind, bounded memory, fairness."""

import asyncio
import socket

import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import CONNECTION_WINDOW, STREAM_WINDOW
from switchyard.http.h2.fields import BlockCache, Field, literals
from switchyard.http.h2.grpc_call import forward_to
from switchyard.http.h2.server import ServerConnection
from switchyard.http.h2.stream import Stream
from tests.switchyard.http.h2.conftest import serve, stop
from tests.switchyard.http.h2.raw import DEADLINE, GREETING, HOST, Talk, converse, goodbye, heard, request_bytes
from tests.switchyard.http.server.http2_serving import GET, LARGE, POST, World, world

CHUNK = bytes(STREAM_WINDOW // 8)
WIDEST = frames.settings({frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW})


def to(path: bytes, fields: list[Field] = POST) -> list[Field]:
    return [*fields[:-1], (b":path", path)]


def widened(number: int, by: int) -> bytes:
    return frames.uint32_frame(frames.WINDOW_UPDATE, number, by)


async def until_streams(at: World, count: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(at.connections[0].streams) != count:
            await asyncio.sleep(0)


async def test_what_still_comes_for_answered_requests_is_given_back() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, POST, path=b"/early", ends=False)
        await talk.hears(frames.RST_STREAM)
        for _ in range(CONNECTION_WINDOW // len(CHUNK)):  # as of several that were all under way
            talk.sends(1, CHUNK, ends=False)
        await talk.hears(frames.WINDOW_UPDATE, stream=0)
        talk.asks(3, POST, b"others go on")
        assert await talk.hears(frames.DATA, stream=3) == b"others go on"
        await talk.disconnects()


async def test_what_an_application_never_read_is_given_back_when_it_was_cancelled() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, POST, path=b"/cancelled", ends=False)
        for number in (3, 5, 7):
            talk.asks(number, to(b"/cancelled"), ends=False)
        for number in (1, 3, 5, 7):
            for _ in range(7):
                talk.sends(number, CHUNK, ends=False)
        talk.asks(9, POST, b"all has come")
        await talk.hears(frames.DATA, stream=9)
        at.app.go_on.set()
        await talk.hears(frames.WINDOW_UPDATE, stream=0)
        await talk.disconnects()


async def test_a_request_that_ends_with_trailers_behind_its_response_is_over() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, POST, path=b"/lingers", ends=False)
        assert await talk.hears(frames.DATA) == b"no need"
        talk.ends_with_fields(1, [(b"x-sum", b"1")])
        await until_streams(at, 0)
        at.connections[0].drain()
        async with asyncio.timeout(DEADLINE):
            await at.connections[0].closed.wait()
        await talk.disconnects()


async def test_a_peer_that_pings_while_much_is_on_its_way_to_it_gets_all_of_it() -> None:
    async with world() as at:
        reader, writer = await asyncio.open_connection(HOST, at.port)
        writer.write(frames.PREFACE + WIDEST + widened(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW))
        writer.write(request_bytes(to(b"/large", GET)))
        answer = await reader.readexactly(frames.DEFAULT_WINDOW)  # the rest of it waits in the server
        writer.write(frames.frame_header(8, frames.PING, 0, 0) + bytes(8))
        async with asyncio.timeout(DEADLINE):
            while not answer.endswith(frames.frame_header(8, frames.PING, frames.ACK, 0) + bytes(8)):
                chunk = await reader.read(2**20)
                assert chunk
                answer += chunk
        assert sum(len(payload) for kind, _, payload in heard(answer) if kind == frames.DATA) == LARGE
        writer.close()
        await writer.wait_closed()


async def _deaf(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that never reads, and whose system takes little for it."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connected, (HOST, port))
    return await asyncio.open_connection(sock=connected, limit=1)


async def test_a_peer_that_asks_and_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.http.h2.frame_sender._UNREAD", 100_000)
    block = literals([(b":method", b"GET")])  # malformed, so each is answered by a frame that waits for no window
    flags = frames.END_STREAM | frames.END_HEADERS
    async with world() as at:
        _, writer = await _deaf(at.port)
        writer.write(GREETING)
        for start in range(1, 1_000_000, 2000):
            numbers = range(start, start + 2000, 2)
            writer.write(
                b"".join(frames.frame_header(len(block), frames.HEADERS, flags, one) + block for one in numbers)
            )
            try:
                await writer.drain()
            except ConnectionError:
                break
        assert at.connections[0].closed.is_set()
        writer.close()


async def test_a_peer_that_breaks_the_protocol_and_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.http.h2.connection._GOAWAY_SECONDS", 0.1)
    async with world() as at:
        _, writer = await _deaf(at.port)
        writer.write(frames.PREFACE + WIDEST + widened(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW))
        writer.write(request_bytes(to(b"/large", GET)))
        async with asyncio.timeout(DEADLINE):
            await at.app.entered.wait()  # from here on much is on its way
            writer.write(frames.frame_header(1, frames.PING, 0, 0) + b"1")
            await at.connections[0].closed.wait()
        writer.close()


async def test_calls_that_a_leaving_server_will_not_answer_may_be_tried_again() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}))
        seen = b""
        while b"/any/Second" not in seen:
            seen += await reader.read(65536)
        last = frames.uint32(1) + frames.uint32(frames.NO_ERROR)
        writer.write(frames.frame_header(len(last), frames.GOAWAY, 0, 0) + last)
        while await reader.read(65536):
            pass
        writer.close()

    service = await asyncio.start_server(leave, HOST, 0)
    proxy, port = await serve(forward_to(f"{HOST}:{service.sockets[0].getsockname()[1]}"))
    call = [*POST, (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    talk = await Talk.to(port, call, path=b"/any/First")
    talk.asks(3, [*call[:3], (b":path", b"/any/Second"), *call[4:]])
    assert await talk.hears(frames.RST_STREAM, stream=3) == frames.uint32(frames.REFUSED_STREAM)
    await talk.disconnects()
    await stop(proxy, 1)
    service.close()


class Tally:
    """A source that counts what it may send again."""

    def __init__(self) -> None:
        self.size = 0

    def sent(self, size: int) -> None:
        self.size += size

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None: ...
    def reset(self, stream: Stream, code: int) -> None: ...


def opened(connection: ServerConnection[None], number: int) -> tuple[Stream, Tally]:
    tally = Tally()
    stream = connection.streams[number] = Stream(connection, number, tally)
    stream.source = tally
    stream.window = frames.MAX_WINDOW
    return stream, tally


class Sink(asyncio.Transport):
    """Takes all that is written."""

    def write(self, data: object) -> None: ...
    def writelines(self, chunks: object) -> None: ...
    def close(self) -> None: ...
    def is_closing(self) -> bool:
        return False


def connection() -> ServerConnection[None]:
    made: ServerConnection[None] = ServerConnection(BlockCache(lambda fields: None))
    made.connection_made(Sink())
    made.data_received(GREETING)
    return made


async def test_a_source_gets_back_what_it_sent_once_and_not_more_however_a_stream_ends() -> None:
    sending = connection()
    stream, tally = opened(sending, 1)
    size = frames.DEFAULT_WINDOW + 100
    sending.send(stream, frames.DATA, bytes(size), False)
    sending.send(stream, frames.HEADERS, literals([(b"grpc-status", b"0")]), True)
    assert tally.size == frames.DEFAULT_WINDOW
    sending.reset_stream(stream, frames.CANCEL)
    assert tally.size == size
    sending.send(stream, frames.DATA, b"late", False)
    assert tally.size == size + 4


async def test_streams_that_share_a_small_window_are_served_in_turn() -> None:
    sending = connection()
    tallies = []
    for number in (1, 3, 5):
        stream, tally = opened(sending, number)
        tallies.append(tally)
        sending.send(stream, frames.DATA, bytes(10 * frames.DEFAULT_WINDOW), False)
    for _ in range(5):
        sending.data_received(widened(0, 1000))
    assert [tally.size for tally in tallies] == [frames.DEFAULT_WINDOW + 2000, 2000, 1000]


async def test_small_chunks_that_wait_take_no_more_memory_than_large_ones() -> None:
    sending = connection()
    stream, tally = opened(sending, 1)
    sending.send(stream, frames.DATA, bytes(frames.DEFAULT_WINDOW), False)
    for _ in range(100_000):
        sending.send(stream, frames.DATA, b"xy", False)
    assert len(stream.pending) < 1000
    sending.data_received(widened(0, 200_000))
    assert tally.size == frames.DEFAULT_WINDOW + 200_000


async def test_frames_that_are_not_whole_are_rejected_on_either_side() -> None:
    async with world() as at:
        answer = await converse(at.port, GREETING + frames.frame_header(4, frames.GOAWAY, 0, 0) + bytes(4))
        assert goodbye(answer) == frames.FRAME_SIZE_ERROR
