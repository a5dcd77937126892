"""A full model behind a real gateway: who is next, who is rejected, and how each protocol says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
import yaml
from tritonclient.grpc import service_pb2

from switchyard.catalog import State
from switchyard.gateway.stages import admit
from switchyard.gateway.tenants.file import TenantsFile
from tests.switchyard.gateway.conftest import Call, completion, until
from tests.switchyard.gateway.tenants.access import KEYS, key
from tests.switchyard.gateway.test_v2 import GrpcBench, infer, rpc_gateway

MESSAGES = [{"role": "user", "content": "x"}]
TENSORS = {"inputs": [{"name": "in", "datatype": "INT32", "shape": [1], "data": [1]}]}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"json": {"model": "chat", "messages": MESSAGES}}),
    "anthropic": ("/v1/messages", {"json": {"model": "chat", "messages": MESSAGES, "max_tokens": 1}}),
    "v2": ("/v2/models/chat/infer", {"json": TENSORS}),
    "text": ("/v1/chat/chat", {"content": "x"}),
}
OF_TIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "flex": ("/v1/chat/completions", {"json": {"model": "chat", "messages": MESSAGES, "service_tier": "flex"}}),
    "priority": ("/v1/chat/completions", {"json": {"model": "chat", "messages": MESSAGES, "service_tier": "priority"}}),
}
TIERS = ["flex", "default", "priority"]


class Model:
    """Holds the first ``held`` requests until each is let go, and responds to others at once."""

    def __init__(self, held: int) -> None:
        self.held = [asyncio.Event() for _ in range(held)]
        self._left = list(self.held)

    async def __call__(self, call: Call) -> None:
        if self._left:
            await self._left.pop(0).wait()
        await (completion if call.scope["path"].startswith("/openai") else infer)(call)


class Bench:
    """A gateway with three tenants whose model ``chat`` has some places, all of them held by acme's requests."""

    def __init__(self, rpc: GrpcBench, model: Model, places: int) -> None:
        self.rpc = rpc
        self.model = model
        self.places = places
        self.tasks: list[asyncio.Task[Any]] = []

    async def ask(self, tenant: str, protocol: str, **options: Any) -> httpx.Response | tuple[str, str, str]:
        """One request's response; of gRPC its status, its sentence and when to try again."""
        if protocol != "grpc":
            path, sent = {**REQUESTS, **OF_TIERS}[protocol]
            headers = {"authorization": f"Bearer {KEYS[tenant]}"}
            return await self.rpc.bench.http.post(path, headers=headers, **sent)
        metadata = (("authorization", f"Bearer {KEYS[tenant]}"),)
        try:
            await self.rpc.stub.ModelInfer(
                service_pb2.ModelInferRequest(model_name="chat"), metadata=metadata, **options
            )
        except grpc.aio.AioRpcError as err:
            after = dict(err.trailing_metadata() or ()).get("retry-after", "")
            return err.code().name, err.details() or "", str(after)
        return "OK", "", ""

    async def waiting(self, tenant: str, protocol: str, **options: Any) -> asyncio.Task[Any]:
        """A request that waits for a place, when it does."""
        before = await self.count()
        task = asyncio.ensure_future(self.ask(tenant, protocol, **options))
        self.tasks.append(task)
        await self.counted(before + 1)
        return task

    async def count(self) -> int:
        headers = {"authorization": f"Bearer {KEYS['admin']}"}
        text = (await self.rpc.bench.http.get("/metrics", headers=headers)).text
        lines = [line for line in text.splitlines() if line.startswith('gateway_requests_waiting{model="chat"}')]
        return int(float(lines[0].split()[1])) if lines else 0

    async def counted(self, waiting: int) -> None:
        async with asyncio.timeout(30):
            while await self.count() != waiting:
                await asyncio.sleep(0.001)

    @property
    def tenants(self) -> list[str]:
        """The tenants of the requests that the model got, less those that hold the places."""
        http = [call.headers[b"x-switchyard-tenant"].decode() for call in self.rpc.bench.model.calls]
        return http[self.places :] + [str(call["x-switchyard-tenant"]) for call in self.rpc.model.metadata]


@asynccontextmanager
async def full(tmp_path: Path, places: int = 1, *, held: int = 0, **settings: Any) -> AsyncIterator[Bench]:
    """A bench with ``places``, whose model holds as many requests, or the first ``held``; globex has the weight 3."""
    names = ("acme", "globex", "team")
    tenants: list[dict[str, Any]] = [
        {"name": name, "weight": 1, "keys": [key(name)], "service_tiers": TIERS} for name in names
    ]
    tenants[1]["weight"] = 3
    tenants.append({"name": "operators", "keys": [key("admin", roles=["admin"])]})
    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump({"tenants": tenants}))
    file = TenantsFile(tmp_path / "tenants.yaml")
    await file.load()
    model = Model(held or places)
    async with rpc_gateway(tmp_path, model, tenants=file, **settings) as rpc:
        bench = Bench(rpc, model, places)
        rpc.bench.put("chat", concurrency=places)
        holders = [asyncio.ensure_future(bench.ask("acme", "openai")) for _ in range(places)]
        await until(lambda: len(rpc.bench.model.calls) == places)
        try:
            yield bench
        finally:
            for event in model.held:
                event.set()
            responses = await asyncio.wait_for(asyncio.gather(*holders), 30)
            assert [response.status_code for response in responses] == [200] * places  # type: ignore[union-attr]
            for task in bench.tasks:
                task.cancel()
            await asyncio.gather(*bench.tasks, return_exceptions=True)


async def test_tiers_say_who_of_a_tenant_is_next_and_flex_waits_for_all_tenants(tmp_path: Path) -> None:
    async with full(tmp_path, held=4) as bench:
        asked = [("acme", "flex"), ("acme", "openai"), ("acme", "priority"), ("globex", "flex"), ("team", "openai")]
        tasks = [await bench.waiting(*one) for one in asked]
        bench.model.held[0].set()
        order: list[tuple[str, str, int]] = []
        for event in bench.model.held[1:]:
            await until(lambda: len(bench.tenants) > len(order))
            call = bench.rpc.bench.model.calls[-1]
            body = json.loads(call.body)
            order.append((bench.tenants[-1], body.get("service_tier", "default"), body.get("priority", 0)))
            event.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        assert order == [("team", "default", 0), ("acme", "priority", -1), ("acme", "default", 0)]
        assert sorted(bench.tenants[-2:]) == ["acme", "globex"]


async def test_who_cannot_have_a_place_before_its_deadline_hears_so_at_once(tmp_path: Path) -> None:
    async with full(tmp_path, held=2) as bench:
        second = await bench.waiting("acme", "openai")
        await asyncio.sleep(0.05)  # the time for which the first holds its place
        bench.model.held[0].set()
        await until(lambda: len(bench.tenants) == 1)
        headers = {"authorization": f"Bearer {KEYS['globex']}", "x-switchyard-deadline": "0.01"}
        path, sent = REQUESTS["openai"]
        response = await bench.rpc.bench.http.post(path, headers=headers, **sent)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "deadline_too_short")
        assert "has a place in" in response.json()["error"]["message"]
        assert response.headers["retry-after"] == "1"
        assert await bench.count() == 0
        patient = asyncio.ensure_future(
            bench.rpc.bench.http.post(path, headers={**headers, "x-switchyard-deadline": "60"}, **sent)
        )
        await bench.counted(1)
        bench.model.held[1].set()
        assert (await asyncio.wait_for(patient, 30)).status_code == 200
        await asyncio.wait_for(second, 30)


@pytest.mark.parametrize("asks", ["openai", "grpc"])
@pytest.mark.parametrize("floods", ["openai", "grpc"])
async def test_a_tenant_that_asks_once_is_served_before_the_flood(tmp_path: Path, floods: str, asks: str) -> None:
    async with full(tmp_path, places=2) as bench:
        flood = [await bench.waiting("acme", floods) for _ in range(3)]
        single = await bench.waiting("globex", asks)
        assert bench.tenants == []

        bench.model.held[0].set()  # the other one keeps a place: acme has one while it waits
        await asyncio.wait_for(single, 30)
        await asyncio.wait_for(asyncio.gather(*flood), 30)
        assert sorted(bench.tenants) == ["acme"] * 3 + ["globex"]
        if asks == floods:  # else they are in two lists
            assert bench.tenants[0] == "globex"
        assert await bench.count() == 0


async def test_a_tenant_of_three_times_the_weight_gets_three_times_the_places(tmp_path: Path) -> None:
    async with full(tmp_path, places=4, held=8) as bench:
        for tenant in ("acme", "globex") * 4:
            await bench.waiting(tenant, "openai")
        for freed in range(4):
            bench.model.held[freed].set()
            await until(lambda: len(bench.rpc.bench.model.calls) > 4 + freed)  # noqa: B023 - awaited within the turn
        assert bench.tenants == ["globex"] * 3 + ["acme"]


# places of the gateway, who waits, who asks, status of the response, a part of its sentence
CASES = {
    "its half of the queue": (16, ["acme"] * 4, "acme", 429, "tenant acme has 4 requests with"),
    "its half of the gateway": (4, ["acme"], "acme", 429, "tenant acme has 2 requests in flight"),
    "the queue": (4, ["acme", "globex"], "team", 503, "model chat is full, and 2 requests of all tenants are waiting"),
}
CODES = {429: ("too_many_requests", "RESOURCE_EXHAUSTED"), 503: ("overloaded", "UNAVAILABLE")}
TYPES = {"openai": {429: "rate_limit_error", 503: "server_error"}}
TYPES["anthropic"] = {429: "rate_limit_error", 503: "overloaded_error"}
STOPPING = "model chat is full, and this gateway is stopping; try again"
ERRORS: dict[str, Callable[[httpx.Response], tuple[str, str, str]]] = {
    "openai": lambda response: tuple(response.json()["error"][name] for name in ("code", "message", "type")),
    "anthropic": lambda response: (
        response.json()["error"]["details"]["error_code"],
        response.json()["error"]["message"],
        response.json()["error"]["type"],
    ),
    "v2": lambda response: (response.json()["code"], response.json()["error"], ""),
    "text": lambda response: ("", response.text, ""),
}


@pytest.mark.parametrize("protocol", [*REQUESTS, "grpc"])
@pytest.mark.parametrize("what", CASES)
async def test_what_is_full_is_said_in_the_callers_protocol(tmp_path: Path, what: str, protocol: str) -> None:
    most, waiting, asks, status, part = CASES[what]
    async with full(tmp_path, max_in_flight=most) as bench:
        for tenant in waiting:
            await bench.waiting(tenant, "v2")
        response = await bench.ask(asks, protocol)
        assert bench.tenants == []
    code, name = CODES[status]
    if isinstance(response, tuple):
        assert (response[0], part in response[1], response[2]) == (name, True, "1"), response
        return
    assert (response.status_code, response.headers["retry-after"]) == (status, "1")
    said = ERRORS[protocol](response)
    assert part in said[1], said
    assert protocol == "text" or said[0] == code
    assert said[2] == TYPES.get(protocol, {}).get(status, "")


@pytest.mark.parametrize("protocol", [*REQUESTS, "grpc"])
async def test_a_gateway_that_stops_tells_who_waits_at_once_and_finishes_what_runs(
    tmp_path: Path, protocol: str
) -> None:
    async with full(tmp_path) as bench:
        task = await bench.waiting("globex", protocol)
        bench.rpc.bench.served.reject_waiting()
        responses = [await asyncio.wait_for(task, 30), await bench.ask("team", protocol)]
        assert bench.tenants == []
    for response in responses:
        if isinstance(response, tuple):
            assert (response[0], STOPPING in response[1], response[2]) == ("UNAVAILABLE", True, "1"), response
            continue
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        said = ERRORS[protocol](response)
        assert STOPPING in said[1], said
        assert protocol == "text" or said[0] == "shutting_down"


async def test_a_model_that_fails_meanwhile_is_not_asked(tmp_path: Path) -> None:
    async with full(tmp_path) as bench:
        task = await bench.waiting("globex", "openai")
        bench.rpc.bench.put("chat", state=State(phase="failed", reason="its weights are gone"))
        bench.model.held[0].set()
        response = await asyncio.wait_for(task, 30)
        assert (response.status_code, "its weights are gone" in response.text) == (503, True)


FULL = b": model chat is full: waiting for a place\n\n"
STREAMS = {
    "openai": ("/v1/chat/completions", {"model": "chat", "messages": MESSAGES, "stream": True}),
    "anthropic": ("/v1/messages", {"model": "chat", "messages": MESSAGES, "max_tokens": 1, "stream": True}),
    "a short form": ("/v1/llm/chat", {"model": "chat", "prompt": "x", "stream": True}),
}


@asynccontextmanager
async def commented(bench: Bench, protocol: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """What is streamed to globex after the first three comments that say that the model is full."""
    path, body = STREAMS[protocol]
    headers = {"authorization": f"Bearer {KEYS['globex']}"}
    async with bench.rpc.bench.http.stream("POST", path, json=body, headers=headers) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        chunks, read = response.aiter_raw(), b""
        while read.count(FULL) < 3:
            read += await anext(chunks)
        assert read.replace(FULL, b"") == b""
        yield chunks


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admit, "_SILENT_SECONDS", 0.0)


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("protocol", STREAMS)
async def test_a_stream_that_waits_has_comments_until_its_model_responds(tmp_path: Path, protocol: str) -> None:
    async with full(tmp_path, heartbeat_seconds=0.01) as bench, commented(bench, protocol) as chunks:
        bench.model.held[0].set()
        rest = b"".join([chunk async for chunk in chunks]).replace(FULL, b"")
        assert rest.startswith(b"data: {")
        assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("protocol", STREAMS)
async def test_what_goes_wrong_after_comments_is_an_event(tmp_path: Path, protocol: str) -> None:
    async with full(tmp_path, heartbeat_seconds=0.01) as bench, commented(bench, protocol) as chunks:
        bench.rpc.bench.put("chat", state=State(phase="failed", reason="its weights are gone"))
        bench.model.held[0].set()
        rest = b"".join([chunk async for chunk in chunks]).replace(FULL, b"").strip()
        assert rest.startswith(b"event: error\ndata: {" if protocol == "anthropic" else b"data: {")
        assert b"its weights are gone" in rest
        assert b"[DONE]" not in rest


@pytest.mark.usefixtures("no_patience")
async def test_a_stream_whose_client_disconnects_while_it_waits_leaves_the_queue(tmp_path: Path) -> None:
    async with full(tmp_path, heartbeat_seconds=0.01) as bench:
        async with commented(bench, "openai"):
            pass
        await bench.counted(0)
        following = await bench.waiting("globex", "openai")
        bench.model.held[0].set()
        await asyncio.wait_for(following, 30)
        assert bench.tenants == ["globex"]


async def leave(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def expire(task: asyncio.Task[Any]) -> None:
    assert (await asyncio.wait_for(task, 30))[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    ("protocol", "options", "end"),
    [("openai", {}, leave), ("grpc", {}, leave), ("grpc", {"timeout": 3.0}, expire)],
    ids=["HTTP, cancelled", "gRPC, cancelled", "gRPC, its deadline"],
)
async def test_a_call_that_ends_while_it_waits_leaves_the_queue(
    tmp_path: Path,
    protocol: str,
    options: dict[str, Any],
    end: Callable[[asyncio.Task[Any]], Awaitable[None]],
) -> None:
    async with full(tmp_path) as bench:
        await end(await bench.waiting("globex", protocol, **options))
        await bench.counted(0)
        following = await bench.waiting("globex", protocol)
        bench.model.held[0].set()
        await asyncio.wait_for(following, 30)
        assert bench.tenants == ["globex"]


async def test_a_gateway_without_tenants_lets_everything_through(tmp_path: Path) -> None:
    model = Model(3)
    async with rpc_gateway(tmp_path, model) as rpc:
        rpc.bench.put("chat", concurrency=1)
        tasks = [asyncio.ensure_future(rpc.bench.chat()) for _ in range(3)]
        await until(lambda: len(rpc.bench.model.calls) == 3)
        for event in model.held:
            event.set()
        assert [response.status_code for response in await asyncio.gather(*tasks)] == [200] * 3
