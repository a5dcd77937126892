"""A real gateway in front of a real, scripted model server, both in the test's event loop on free ports."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import httpx
import pytest
import uvicorn
import uvloop

from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.app import Gateway
from switchyard.gateway.assembly.parts import parts
from switchyard.gateway.audit.log import AuditLog
from switchyard.gateway.edges.invalid import InvalidRequests
from switchyard.gateway.files.storage import Storage
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.routes.table import WEBSOCKET_PATHS
from switchyard.gateway.server import server_limits, web_access
from switchyard.gateway.settings import Settings
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.websocket.sockets import SocketLimits
from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.http.client import Client
from switchyard.http.server import Server
from switchyard.store.ledger import Ledger
from switchyard.store.recordings.contract import Recordings
from switchyard.telemetry.tracing import DisabledTracer, Tracer

LoopFactories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Call:
    """One request as the model's server sees it."""

    scope: Scope
    body: bytes
    receive: Receive
    send: Send

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.scope["headers"])

    async def start(self, status: int = 200, content_type: bytes = b"application/json", **headers: str) -> None:
        extra = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        head = [(b"content-type", content_type), *extra]
        await self.send({"type": "http.response.start", "status": status, "headers": head})

    async def chunk(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        await self.send({"type": "http.response.body", "body": data})

    async def answer(self, payload: Any, status: int = 200, **headers: str) -> None:
        await self.start(status, b"application/json", **headers)
        await self.end(json.dumps(payload).encode())

    async def disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


Script = Callable[[Call], Awaitable[None]]


async def completion(call: Call) -> None:
    """Answers like a chat model that repeats its model's name."""
    payload = json.loads(call.body)
    if not payload.get("stream"):
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "text": "hello", "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": payload["model"]}
        await call.answer({**whole, "choices": [choice], "usage": usage})
        return
    await call.start(content_type=b"text/event-stream")
    for word in ("hel", "lo"):
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": payload["model"]}
        chunk |= {"choices": [{"index": 0, "delta": {"content": word}, "text": word, "finish_reason": None}]}
        await call.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await call.end(b"data: [DONE]\n\n")


@dataclass
class ModelServer:
    """An ASGI application that records calls and answers by ``script``."""

    script: Script = completion
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        call = Call(scope, body, receive, send)
        self.calls.append(call)
        await self.script(call)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(call.body) for call in self.calls]


class PromptServer(uvicorn.Server):
    """uvicorn that ends when it is told to and all is over: it looks every 100 ms, twice, and thousands are started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ends = asyncio.Event()
        self.capture_signals = nullcontext  # type: ignore[method-assign, assignment]

    async def main_loop(self) -> None:
        await self.on_tick(0)  # makes the headers that every response has
        await self.ends.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.001)
        for server in self.servers:
            await server.wait_closed()


@asynccontextmanager
async def running(app: App) -> AsyncIterator[str]:
    """The base URL of an ASGI application on a free port, served by a server that is not ours."""
    server = PromptServer(
        uvicorn.Config(cast(Any, app), loop="none", ws="none", lifespan="off", log_config=None, access_log=False)
    )
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # else asyncio leaves Nagle's algorithm on
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.ends.set()
            await task


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Returns when ``condition`` holds; fails the test when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


@dataclass
class Bench:
    """A gateway, its model server and a client of it."""

    url: str
    model: ModelServer
    catalog: CatalogFile
    http: httpx.AsyncClient
    served: Gateway
    server: Server

    def put(self, name: str, **changes: Any) -> None:
        """Changes one model of the catalog."""
        models = dict(self.catalog.current().models)
        models[name] = replace(models[name], **changes)
        self.catalog.replace(Catalog(models))

    async def chat(self, model: str = "chat", **fields: Any) -> httpx.Response:
        return await self.http.post("/v1/chat/completions", json={"model": model, "messages": [], **fields})

    async def metric(self, line: str) -> bool:
        return line in (await self.http.get("/metrics")).text.splitlines()


Start = Callable[..., Any]


def entries(url: str, grpc: str = "") -> Catalog:
    """One model of every kind and state behind ``url``."""
    ready, asleep = State(phase="ready"), State(phase="asleep")
    failed = State(phase="failed", reason="its weights are missing")
    models = [
        Model(name="chat", kind="llm", url=url, grpc=grpc, context_length=4096, state=ready),
        Model(name="sleepy", kind="llm", url=url, grpc=grpc, state=asleep),
        Model(name="embed", kind="embedding", url=url, state=ready),
        Model(name="ocr", kind="vision", url=url, grpc=grpc, state=ready),
        Model(name="seer", kind="llm", url=url, accepts_images=True, state=ready),
        Model(name="broken", kind="llm", url=url, grpc=grpc, state=failed),
        Model(name="nobody", kind="llm", url="http://127.0.0.1:1", state=ready),
    ]
    return Catalog({model.name: model for model in models})


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    script: Script = completion,
    *,
    stall_seconds: float = 60.0,
    tenants: TenantsFile | None = None,
    ledger: Ledger | None = None,
    keys: StoredKeys | None = None,
    audit: AuditLog | None = None,
    tracer: Tracer | None = None,
    storage: Storage | None = None,
    recordings: Recordings | None = None,
    sockets: SocketLimits | None = None,
    limits: Mapping[str, Any] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[Bench]:
    """A bench with ``settings`` that differ from the defaults."""
    model, catalog, client = ModelServer(script), CatalogFile(tmp_path / "catalog.json"), Client()
    chosen = Settings(**{"grace_seconds": 2, **settings})
    traced = tracer or DisabledTracer()
    shared = chosen, catalog, client, traced, tenants, ledger
    given = parts(*shared, keys=keys, audit=audit, storage=storage, recordings=recordings)
    served = Gateway(given, sockets)
    invalid = InvalidRequests(given.meter.metrics.access, log_requests=chosen.log_requests)
    ports = replace(server_limits(chosen), stall_seconds=stall_seconds, **limits)
    access = web_access(chosen, "127.0.0.1")
    server = Server(
        served.handle,
        ports,
        rpc=served.handle_rpc,
        error_response=invalid,
        access=access,
        websocket_paths=WEBSOCKET_PATHS,
    )
    url = f"http://127.0.0.1:{await server.listen('127.0.0.1')}"
    async with running(model) as model.url:
        catalog.replace(entries(model.url))
        working = [asyncio.create_task(served.batches.follow())] if served.batches is not None else []
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                yield Bench(url, model, catalog, http, served, server)
        finally:  # a test that fails must not leave calls behind that the model's server would wait for
            await server.aclose()
            for task in working:
                task.cancel()
            await served.end_batches()
            await client.aclose()
            await served.aclose()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with gateway(tmp_path, heartbeat_seconds=0.02, retry_seconds=1.0) as one:
        yield one


@pytest.fixture(autouse=True)
def _no_handler_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A bug of a server in this process is a failure, though its client has the status that the test expects."""
    yield
    logged = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    assert not [record.exc_text for record in logged if record.msg == "a handler failed"]
