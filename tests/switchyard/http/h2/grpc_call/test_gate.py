"""Messages after the first wait until somebody has allowed them, however their bytes are split."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call.gate import MessageGate
from switchyard.http.h2.grpc_call.messages import framed

MESSAGES = [framed(b"first"), framed(b""), framed(b"x" * 300), framed(b"y")]
ALL = b"".join(MESSAGES)


class Gated:
    """What a gate lets pass of a call of which ``received`` is here; it denies message ``most``."""

    def __init__(self, received: bytes, *, most: int = 100, complete: bool = False) -> None:
        self.passed, self.ended, self.discarded, self.checks = b"", False, 0, 0
        self.most = most
        self.tasks: list[asyncio.Task[None]] = []
        first: Any = SimpleNamespace(size=len(received), complete=complete, chunks=[received])
        first.joined = lambda: b"".join(first.chunks)
        self.received = first
        self.gate = MessageGate(self.check, self.take, self.discard, self.start, first)

    @property
    def all(self) -> bytes:
        return bytes(self.received.joined() + self.passed)

    async def check(self) -> None:
        self.checks += 1
        if self.checks >= self.most:
            raise ApiError("rate_limit_exceeded", "too many")

    def take(self, chunk: bytes, end: bool) -> None:
        assert not self.ended
        self.passed += chunk
        self.ended = end

    def discard(self, size: int) -> None:
        self.discarded += size

    def start(self, work: Any) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def idle(self) -> None:
        done = 0
        while done < len(self.tasks):
            await self.tasks[done]
            done += 1


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("before", [5, 8, 10, 11, len(ALL)])
async def test_all_bytes_pass_in_their_order_and_each_later_message_is_asked_for(size: int, before: int) -> None:
    gated = Gated(ALL[:before], complete=before == len(ALL))
    for at in range(before, len(ALL), size):
        gated.gate.feed(ALL[at : at + size], at + size >= len(ALL))
    await gated.idle()
    assert gated.all == ALL
    assert gated.ended
    assert gated.checks == len(MESSAGES) - 1


async def test_nothing_of_a_message_passes_before_it_is_allowed() -> None:
    gated = Gated(MESSAGES[0])
    gated.gate.feed(MESSAGES[1] + MESSAGES[2], False)
    assert gated.all == MESSAGES[0]
    await gated.idle()
    assert gated.all == b"".join(MESSAGES[:3])
    assert not gated.ended


async def test_what_is_denied_is_discarded_and_ends_what_the_client_may_send() -> None:
    gated = Gated(MESSAGES[0], most=2)
    gated.gate.feed(b"".join(MESSAGES[1:]), False)
    await gated.idle()
    gated.gate.feed(b"more", True)
    assert gated.all == b"".join(MESSAGES[:2])
    assert gated.ended
    assert gated.discarded == len(MESSAGES[2]) + len(MESSAGES[3]) + 4
    assert gated.gate.error is not None


async def test_an_end_without_bytes_passes() -> None:
    gated = Gated(MESSAGES[0])
    gated.gate.feed(b"", True)
    assert gated.ended
    assert gated.checks == 0
