"""Any frames in any order: each connection takes them or rejects them, and leaves nothing behind."""

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.asgi.serving import handler_of
from switchyard.http.h2 import frames
from switchyard.http.h2.connection import CONNECTION_WINDOW
from switchyard.http.h2.fields import literals
from switchyard.http.h2.grpc_call import forward_to
from tests.switchyard.http.h2.raw import GREETING, HOST, heard
from tests.switchyard.http.server.http2_serving import GET, POST, RecordingServer

DEADLINE = 20
PATHS = (b"/reads", b"/answers", b"/streams", b"/fails", b"/cancelled")
GRPC = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/fails":
        raise ConnectionError
    if scope["path"] == "/cancelled":
        raise asyncio.CancelledError
    if scope["path"] == "/reads":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/streams":
        for _ in range(5):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"that is all"})


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return frames.frame_header(len(payload), kind, flags, number) + payload


NUMBERS = st.sampled_from([0, 1, 1, 3, 3, 5, 7, 2])
FLAGS = st.sampled_from([0, frames.END_STREAM])
HEADS = (
    st.builds(
        lambda head, path: literals([*head[:-1], (b":path", path)]),
        st.sampled_from([GET, POST]),
        st.sampled_from(PATHS),
    )
    | st.just(literals([*POST, *GRPC]))
    | st.binary(max_size=20)
)
LIKELY = st.one_of(
    st.builds(lambda flags, number, block: frame(1, flags | 4, number, block), FLAGS, NUMBERS, HEADS),
    st.builds(
        lambda flags, number, size: frame(0, flags, number, bytes(size)),
        FLAGS,
        NUMBERS,
        st.sampled_from([0, 1, 5, 4096, 250_000]),
    ),
    st.builds(lambda number, code: frame(3, 0, number, frames.uint32(code)), NUMBERS, st.integers(0, 13)),
    st.builds(
        lambda number, by: frame(8, 0, number, frames.uint32(by)),
        NUMBERS,
        st.sampled_from([1, 100, 100_000, 2**31 - 1]),
    ),
    st.builds(
        lambda size: frames.settings({frames.INITIAL_WINDOW_SIZE: size}), st.sampled_from([0, 1, 70_000, 2**31 - 1])
    ),
)
ANY = st.builds(frame, st.integers(0, 11), st.integers(0, 255), NUMBERS, st.binary(max_size=40))
TURN = b""  # the loop's, between frames


@given(st.lists(LIKELY | LIKELY | LIKELY | ANY | st.just(TURN), max_size=25))
def test_no_frames_make_a_connection_fail_or_leave_anything_behind(sent: list[bytes]) -> None:
    asyncio.run(_take(sent))


async def _take(sent: list[bytes]) -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
    server = RecordingServer(handler_of(app), rpc=forward_to(f"{HOST}:1"))
    reader, writer = await asyncio.open_connection(HOST, await server.listen(HOST, 0))
    writer.write(GREETING)
    reading = asyncio.ensure_future(reader.read())
    with suppress(OSError):
        for one in sent:
            writer.write(one)
            if one == TURN:
                await writer.drain()
                await asyncio.sleep(0)
        writer.write_eof()
    async with asyncio.timeout(DEADLINE):
        (answer,) = await asyncio.gather(reading, return_exceptions=True)
        while not server.made:
            await asyncio.sleep(0)
        (made,) = server.made
        await made.closed.wait()
        await server.drain()
    writer.close()
    assert not failed
    assert not made.streams
    if isinstance(answer, bytes) and frames.GOAWAY not in [kind for kind, _, _ in heard(answer)]:
        assert made._received == 0  # the window is whole, but for what the client is told of when it is more
        assert made._unacknowledged <= CONNECTION_WINDOW // 2
