"""Gateways that record responses, on one store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx

from switchyard.gateway.recordings import names
from switchyard.gateway.settlements import new_call_id
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.store.factory import open_ledger, open_recordings
from switchyard.store.recordings.contract import Recordings
from tests.switchyard.gateway.conftest import Bench, Call, Script, completion, gateway


@dataclass
class Steps:
    """A model's script that goes one step for each ``go``, so that a test decides what has been sent when.

    It sends ``events`` if it is asked for a stream, else a whole response after all steps. ``cut`` aborts it instead
    of its last step.
    """

    events: list[bytes] = field(default_factory=lambda: [b'data: {"n":%d}\n\n' % number for number in range(1, 4)])
    end: bytes = b"data: [DONE]\n\n"
    status: int = 200
    begun: int = 0
    left: int = 0
    _go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def go(self, steps: int = 1) -> None:
        for _ in range(steps):
            self._go.release()

    @property
    def all(self) -> int:
        return len(self.events) + 1

    async def __call__(self, call: Call) -> None:
        self.begun += 1
        stream = json.loads(call.body).get("stream") or b"stream" in call.scope["raw_path"]
        leaving = asyncio.create_task(call.disconnected())
        playing = asyncio.create_task(self._play(call, stream=bool(stream)))
        await asyncio.wait((leaving, playing), return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            self.left += 1
        for task in (leaving, playing):
            task.cancel()

    async def _play(self, call: Call, *, stream: bool) -> None:
        if stream:
            await call.start(self.status, b"text/event-stream")
        for event in self.events:
            await self._go.acquire()
            if stream:
                await call.chunk(event)
        await self._go.acquire()
        if stream:
            await call.end(self.end)
        else:
            await call.answer({"id": "one", "choices": [], "n": self.begun}, status=self.status)


def numbered(events: list[bytes], after: int = 0) -> bytes:
    """What a client gets of events that have numbers."""
    return b"".join(b"id: %d\n%b" % (n, one) for n, one in enumerate(events, 1) if n > after)


@asynccontextmanager
async def recordings(folder: Path) -> AsyncIterator[Recordings]:
    opened = open_recordings(f"sqlite://{folder}/store.db")
    try:
        yield opened
    finally:
        await opened.aclose()


class Flaky:
    """Recordings in front of others, which raise ``error`` while there is one."""

    def __init__(self, inner: Recordings) -> None:
        self._inner = inner
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._inner, name)

        async def tried(*given: Any, **named: Any) -> Any:
            if self.error is not None and name != "aclose":
                raise self.error
            return await operation(*given, **named)

        return tried


@asynccontextmanager
async def flaky(folder: Path, script: Script, **settings: Any) -> AsyncIterator[tuple[Bench, Flaky]]:
    """A gateway whose store of recordings fails on demand."""
    async with recordings(folder) as opened:
        store = Flaky(opened)
        async with gateway(folder, script, recordings=cast(Recordings, store), **settings) as bench:
            yield bench, store


async def lose(store: Recordings, path: str, body: Any, *, scope: str = "open") -> str:
    """Leave what a gateway leaves that was killed while it made the response to a request; return its id."""
    recording = new_call_id()
    asked = names.fingerprint_of(b"POST", path.encode(), b"", json.dumps(body).encode())
    name = names.of_key(scope, b"one")
    page = await store.claim(scope, name, recording, asked, lease=0.001, ttl=60, report_lost=True)
    assert page is None
    await asyncio.sleep(0.01)  # the lease: nothing else says that it is over
    return recording


@asynccontextmanager
async def gateways(
    folder: Path, script: Script = completion, count: int = 1, *, tenants: TenantsFile | None = None, **settings: Any
) -> AsyncIterator[list[Bench]]:
    """Gateways whose recordings, and ledger where they have tenants, are in one store."""
    url = f"sqlite://{folder}/store.db"
    async with AsyncExitStack() as stack:
        benches = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir(exist_ok=True)
            ledger = None
            if tenants is not None:
                ledger = open_ledger(url)
                stack.push_async_callback(ledger.aclose)
            kept = await stack.enter_async_context(recordings(folder))
            bench = gateway(own, script, tenants=tenants, ledger=ledger, recordings=kept, **settings)
            benches.append(await stack.enter_async_context(bench))
        yield benches


@asynccontextmanager
async def sent(bench: Bench, path: str, body: Any, headers: dict[str, str]) -> AsyncIterator["Client"]:
    """A request that is read as its response comes."""
    client = Client()
    task = asyncio.create_task(client.read(bench, path, body, headers))
    client.task = task
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Client:
    """What a client has had of a response."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.status = 0
        self.headers = httpx.Headers()
        self.body = b""
        self.done = False

    async def read(self, bench: Bench, path: str, body: Any, headers: dict[str, str]) -> None:
        method = "GET" if body is None else "POST"
        async with bench.http.stream(method, path, json=body, headers=headers) as response:
            self.status, self.headers = response.status_code, response.headers
            async for chunk in response.aiter_raw():
                self.body += chunk
        self.done = True

    async def disconnect(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
