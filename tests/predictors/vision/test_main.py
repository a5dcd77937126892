"""What runs beside the server."""

import asyncio

from predictors.vision.__main__ import beside


class Server:
    """Remembers why it was stopped."""

    def __init__(self) -> None:
        self.reason = ""

    def lost(self, reason: str) -> None:
        self.reason = reason


async def test_a_part_that_fails_ends_the_service_and_one_that_ends_does_not() -> None:
    async def fail() -> None:
        raise KeyError("state")

    async def finish() -> None:
        return

    server = Server()
    await asyncio.gather(beside(server, finish()))
    waiting = beside(server, asyncio.sleep(60))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert server.reason == ""
    await asyncio.gather(beside(server, fail()), return_exceptions=True)
    assert "KeyError('state')" in server.reason
