"""Following a Triton that comes and goes."""

import asyncio
from typing import cast

from predictors.vision.triton.client import TritonClient
from predictors.vision.triton.watch import RETRY_SECONDS, TritonWatch


class Ending:
    """A Triton that accepts connections and closes them, as one that is ending does; ``times`` are those of them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.enough = asyncio.Event()

    async def live(self) -> bool:
        return False

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.times.append(asyncio.get_running_loop().time())
        if len(self.times) == 3:
            self.enough.set()
        writer.close()


async def test_a_triton_that_disconnects_is_not_called_without_pause() -> None:
    triton = Ending()

    async def welcome() -> None:
        raise AssertionError("it is not live")

    server = await asyncio.start_server(triton.meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    watch = TritonWatch(cast(TritonClient, triton), f"127.0.0.1:{port}", on_live=welcome, on_lost=lambda: None)
    following = asyncio.ensure_future(watch.run())
    async with asyncio.timeout(5):
        await triton.enough.wait()
    following.cancel()
    server.close()
    await server.wait_closed()
    assert not watch.live
    assert triton.times[2] - triton.times[0] >= 2 * RETRY_SECONDS


class Orphaned:
    """A Triton that responds to one question, then dies; a process of a model holds the connection open."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.ended = asyncio.Event()

    async def live(self) -> bool:
        return True

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while question := await reader.read(1000):
            self.asked.append(question)
            if len(self.asked) == 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        self.ended.set()


async def test_a_triton_whose_connection_outlives_it_is_lost_within_five_seconds() -> None:
    triton, lost = Orphaned(), asyncio.Event()

    async def welcome() -> None:
        return

    server = await asyncio.start_server(triton.meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    watch = TritonWatch(cast(TritonClient, triton), f"127.0.0.1:{port}", on_live=welcome, on_lost=lost.set)
    following = asyncio.ensure_future(watch.run())
    async with asyncio.timeout(10):
        while len(triton.asked) < 1:
            assert not lost.is_set()
            await asyncio.sleep(0.01)
    assert watch.live
    async with asyncio.timeout(5):
        await lost.wait()
        await triton.ended.wait()
    following.cancel()
    server.close()
    await server.wait_closed()
    assert triton.asked[0].startswith(b"GET /v2/health/live ")
