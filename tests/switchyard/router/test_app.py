"""The router as its clients see it: readiness, streaming, disconnects, headers, spans."""

import asyncio
import io
import json
import logging
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest

from switchyard.router.graph.check import MAX_DEPTH
from switchyard.telemetry.logs import JsonFormatter
from tests.recorded_spans import PARENT, UNSAMPLED, KeptSpans
from tests.switchyard.http.serving import Wire
from tests.switchyard.router.running import (
    Call,
    Router,
    always,
    forever,
    node,
    router,
    services,
    stream,
    until,
)

BODY = b'{"model":"m"}'


async def wire(one: Router) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", one.port))


def request(path: bytes = b"/", body: bytes = BODY) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)


def all_kinds(behind: Any, name: str) -> dict[str, Any]:
    """A graph in which the service ``name`` is reached through nodes of every kind."""
    return {
        "root": node("Switch", {"name": "s", "nodeName": "split", "condition": "model"}),
        "split": node("Splitter", {"name": "p", "nodeName": "sequence", "weight": 100}),
        "sequence": node("Sequence", behind.step("first"), {"name": "e", "nodeName": "ensemble"}),
        "ensemble": node("Ensemble", behind.step(name), behind.step(name + "2")),
    }


async def test_a_router_is_ready_until_it_drains() -> None:
    async with services() as behind, router(behind, {"root": node("Sequence", behind.step("a"))}) as one:
        assert ((await one.http.get("/readyz")).status_code, behind.calls) == (200, [])
        one.app.draining = True
        answer = await one.http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "shutting down\n")
        assert (await one.post()).status_code == 200


async def test_metrics_cannot_be_reached_where_graph_traffic_goes() -> None:
    async with services() as behind, router(behind, {"root": node("Sequence", behind.step("a"))}) as one:
        assert (await one.http.get("/metrics")).json()["from"] == "a"


async def test_a_chunk_is_forwarded_within_a_millisecond_of_its_arrival() -> None:
    sent: list[float] = []
    late: list[float] = []
    more: asyncio.Queue[None] = asyncio.Queue()

    async def timed(call: Call) -> None:
        call.exchange.start(200, [(b"content-type", b"text/event-stream")])
        for _ in range(50):
            sent.append(perf_counter())
            call.exchange.write(b"data: 1\n\n")
            await more.get()
        call.exchange.end()

    async with services(chat=timed) as behind:
        nodes = {"root": node("Switch", behind.step("chat", condition="model"))}
        async with router(behind, nodes) as one:
            client = await wire(one)
            client.send(request())
            await client.head()
            while await client.chunk():
                late.append(perf_counter() - sent[-1])
                more.put_nowait(None)
            await client.close()
    assert len(late) == 50
    assert sorted(late)[12] <= 0.001  # a busy machine delays some of them; the router delays all alike


@pytest.mark.parametrize("name", ["slow", "first"])
async def test_a_client_that_disconnects_cancels_every_running_step_within_100_ms(name: str) -> None:
    async with services(slow=forever, slow2=forever) as behind:
        behind.scripts[name] = forever
        async with router(behind, all_kinds(behind, "slow")) as one:
            client = await wire(one)
            client.send(request())
            expected = ["first"] if name == "first" else ["slow", "slow2"]
            await until(lambda: set(expected) <= set(behind.names))
            left = asyncio.get_running_loop().time()
            await client.close()
            await until(lambda: sorted(behind.cancelled) == expected)
            assert asyncio.get_running_loop().time() - left < 0.1
            assert one.metric('graph_requests_total{code="cancelled"} 1.0')
            await until(lambda: one.server.in_flight == 0)


async def test_a_client_that_disconnects_within_a_stream_cancels_the_step_within_100_ms() -> None:
    gate = asyncio.Event()
    async with services(chat=stream(b"data: 1\n\n", b"never", gate=gate)) as behind:
        nodes = {"root": node("Switch", behind.step("chat", condition="model"))}
        async with router(behind, nodes) as one:
            client = await wire(one)
            client.send(request())
            await client.head()
            await client.chunk()
            left = asyncio.get_running_loop().time()
            await client.close()
            await until(lambda: behind.cancelled)
            assert asyncio.get_running_loop().time() - left < 0.1


async def test_a_service_that_dies_in_mid_stream_cuts_the_response() -> None:
    async def dies(call: Call) -> None:
        call.exchange.start(200, [(b"content-type", b"text/event-stream")])
        call.exchange.write(b"data: 1\n\n")
        await asyncio.sleep(0.01)
        call.exchange.abort()

    async with services(chat=dies) as behind:
        nodes = {"root": node("Switch", behind.step("chat", condition="model"))}
        async with router(behind, nodes) as one:
            client = await wire(one)
            client.send(request())
            await client.head()
            assert await client.chunk() == b"data: 1\n\n"
            assert await client.rest() == b""
            await until(lambda: one.metric('graph_requests_total{code="broken"} 1.0'))
            await client.close()


async def test_a_service_that_dies_before_its_body_begins_is_told_of() -> None:
    async def dies(call: Call) -> None:
        call.exchange.start(200, [(b"content-type", b"application/json"), (b"content-length", b"9")])
        call.exchange.write(b"")
        await asyncio.sleep(0.01)
        call.exchange.abort()

    async with services(chat=dies) as behind:
        nodes = {"root": node("Switch", behind.step("chat", condition="model"))}
        async with router(behind, nodes) as one:
            client = await wire(one)
            client.send(request())
            head = await client.head()
            await client.close()
            assert head.startswith(b"http/1.1 500")
            assert one.metric('graph_requests_total{code="500"} 1.0')


async def test_a_slow_client_holds_the_service_back() -> None:
    written = 0

    async def pours(call: Call) -> None:
        nonlocal written
        call.exchange.start(200, [(b"content-type", b"text/event-stream")])
        for _ in range(600):
            call.exchange.write(bytes(65536))
            written += 1
            await call.exchange.drain()
        call.exchange.end()

    async with services(chat=pours) as behind:
        nodes = {"root": node("Switch", behind.step("chat", condition="model"))}
        async with router(behind, nodes) as one:
            client = await wire(one)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(request())
            before = -1
            while written != before or not written:
                before = written
                await asyncio.sleep(0.1)
            assert written < 600
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await client.head()
            size = 0
            while chunk := await client.chunk():
                size += len(chunk)
            assert size == 600 * 65536
            await client.close()


async def test_steps_get_the_listed_headers_the_trace_context_and_json_as_the_type() -> None:
    async with services() as behind:
        nodes = {"root": node("Sequence", behind.step("a"), behind.step("b"))}
        async with router(behind, nodes, propagate="Custom") as one:
            given = {"X-Request-Id": "7", "My-Custom-Thing": "c", "Authorization": "secret", "Traceparent": "00-1-2-3"}
            await one.http.post("/", content=BODY, headers={**given, "Tracestate": "x=1", "Content-Type": "text/x"})
            for call in behind.calls:
                headers = call.headers
                del headers[b"host"], headers[b"content-length"]
                assert headers == {
                    b"x-request-id": b"7",
                    b"my-custom-thing": b"c",
                    b"traceparent": b"00-1-2-3",
                    b"tracestate": b"x=1",
                    b"content-type": b"application/json",
                }


async def test_a_listed_content_type_is_kept() -> None:
    async with services() as behind:
        nodes = {"root": node("Sequence", behind.step("a"))}
        async with router(behind, nodes, propagate="Content-Type") as one:
            await one.http.post("/", content=BODY, headers={"Content-Type": "text/x"})
            assert behind.calls[0].headers[b"content-type"] == b"text/x"


async def test_responses_lose_only_what_belongs_to_one_connection() -> None:
    script = always(200, {}, (b"x-one", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"keep-alive", b"1"))
    async with services(a=script) as behind, router(behind, {"root": node("Sequence", behind.step("a"))}) as one:
        answer = await one.post()
        assert answer.headers.get_list("set-cookie") == ["a", "b"]
        assert answer.headers["x-one"] == "1"
        assert "keep-alive" not in answer.headers


async def test_each_step_is_a_span_below_the_requests() -> None:
    kept = KeptSpans()
    async with services(a=always(500, {})) as behind:
        nodes = {
            "root": node("Sequence", behind.step("a"), {"name": "to", "nodeName": "inner"}),
            "inner": node("Sequence", behind.step("b")),
        }
        async with router(behind, nodes, tracer=kept.tracer, name="auto") as one:
            await one.post({}, traceparent=PARENT)
            sent = [call.headers[b"traceparent"].decode() for call in behind.calls]
    assert sent == [kept.named(name).span.traceparent for name in ("step root/a", "step inner/b")]
    assert kept.tree() == {
        "step root/a": "graph",
        "step inner/b": "step root/to",
        "step root/to": "graph",
        "graph": PARENT.split("-")[2],
    }
    assert {one.span.name for one in kept.ended if one.error} == {"step root/a"}
    assert kept.named("step root/a").error == "status 500"
    assert kept.named("graph").span.attributes == {"switchyard.model": "auto", "http.response.status_code": 200}


async def test_a_request_that_is_not_sampled_leaves_only_the_spans_that_failed() -> None:
    kept = KeptSpans()
    async with services(a=always(500, {})) as behind:
        nodes = {"root": node("Sequence", behind.step("a"), behind.step("b"))}
        async with router(behind, nodes, tracer=kept.tracer) as one:
            await one.post({}, traceparent=UNSAMPLED)
            assert all(call.headers[b"traceparent"].endswith(b"-00") for call in behind.calls)
    assert [one.span.name for one in kept.ended] == ["step root/a"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", {"error": {"message", "type", "param", "code"}, "cause": str}),
        ("/openai/v1/embeddings?x=1", {"error": {"message", "type", "param", "code"}, "cause": str}),
        ("/openai/v1/messages", {"type": str, "error": {"type", "message", "details"}, "cause": str}),
        ("/v2/models/m/infer", {"error": str, "code": str, "cause": str}),
        ("/v1x", {"error": str, "cause": str}),
        ("/", {"error": str, "cause": str}),
    ],
)
async def test_an_error_has_the_shape_of_its_paths_protocol(path: str, expected: dict[str, Any]) -> None:
    async with services() as behind, router(behind, {"root": node("Switch", behind.step("a", condition="a"))}) as one:
        answer = (await one.post({}, path)).json()
    assert {key: set(value) if isinstance(value, dict) else type(value) for key, value in answer.items()} == expected
    assert answer["cause"] == "None of the routes matched with the switch condition of node root"
    explained = answer["error"]
    if path in ("/", "/v1x"):
        assert explained == "Failed to process request"
    else:
        assert (explained["message"] if isinstance(explained, dict) else explained) == answer["cause"]


@pytest.mark.parametrize("kind", ["Sequence", "Ensemble", "Switch"])
async def test_a_graph_of_the_maximum_depth_runs(kind: str) -> None:
    async with services() as behind:
        fields = {"condition": "model"} if kind == "Switch" else {}
        names = ["root", *map(str, range(1, MAX_DEPTH))]
        graph = {name: node(kind, {"nodeName": below, **fields}) for name, below in pairwise(names)}
        async with router(behind, {**graph, names[-1]: node(kind, behind.step("a", **fields))}) as one:
            assert (await one.post({"model": "m"})).status_code == 200
            assert behind.names == ["a"]


LENGTH = "inference-header-content-length"
TENSORS = b'{"model":"m"}\x00\x01\xff'


async def tensors(call: Call) -> None:
    """A service of V2's binary tensors: what it got of JSON comes back, and other tensors."""
    own = int(dict(call.exchange.headers)[LENGTH.encode()])
    call.exchange.respond(200, [(LENGTH.encode(), b"%d" % (own + 1))], call.body[:own] + b" \xfe")


@pytest.mark.parametrize("kind", ["Splitter", "Switch", "Sequence"])
async def test_binary_tensors_of_v2_pass_a_graph_in_both_directions(kind: str) -> None:
    async with services(a=tensors) as behind:
        fields: dict[str, dict[str, Any]] = {"Splitter": {"weight": 100}, "Switch": {"condition": "model"}}
        async with router(behind, {"root": node(kind, behind.step("a", **fields.get(kind, {})))}) as one:
            answer = await one.http.post("/v2/models/g/infer", content=TENSORS, headers={LENGTH: "13"})
            (call,) = behind.calls
            assert (call.body, call.headers[LENGTH.encode()]) == (TENSORS, b"13")
            assert call.headers[b"content-type"] == b"application/octet-stream"
            assert (answer.content, answer.headers[LENGTH]) == (b'{"model":"m"} \xfe', "14")


async def test_tensors_that_a_step_answers_are_the_next_ones_with_their_own_length() -> None:
    async with services(a=tensors, b=tensors) as behind:
        steps = [
            behind.step("a"),
            behind.step("b", data="$response", condition="model"),
            {"name": "inner", "nodeName": "inner", "data": "$response"},
        ]
        graph = {"root": node("Sequence", *steps), "inner": node("Sequence", behind.step("c"), behind.step("d"))}
        async with router(behind, graph) as one:
            await one.http.post("/", content=TENSORS, headers={LENGTH: "13"})
            assert [call.headers[LENGTH.encode()] for call in behind.calls] == [b"13", b"14", b"15", b"15"]


async def test_json_that_a_step_answers_to_tensors_is_json_for_the_next() -> None:
    async with services(a=always(200, {"predictions": [1]})) as behind:
        steps = [behind.step("a"), behind.step("b", data="$response", mapPredictionsToInstances=True), behind.step("c")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            await one.http.post("/", content=TENSORS, headers={LENGTH: "13"})
            _, mapped, again = behind.calls
            assert mapped.headers[b"content-type"] == b"application/json"
            assert (mapped.body, LENGTH.encode() in mapped.headers) == (b'{"instances":[1]}', False)
            assert (again.body, again.headers[LENGTH.encode()]) == (TENSORS, b"13")


async def test_what_a_router_logs_about_a_request_carries_its_id(caplog: pytest.LogCaptureFixture) -> None:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter("router"))
    caplog.set_level(logging.WARNING)
    logging.getLogger().addHandler(handler)
    nodes = {"root": node("Sequence", {"name": "nobody", "serviceUrl": "http://127.0.0.1:1"})}
    try:
        async with services() as behind, router(behind, nodes) as one:
            for identifier in ("first", "second"):
                assert (await one.http.post("/", content=BODY, headers={"x-request-id": identifier})).status_code >= 500
    finally:
        logging.getLogger().removeHandler(handler)
    failed = [row for row in map(json.loads, text.getvalue().splitlines()) if row["message"] == "a request failed"]
    assert [row["request_id"] for row in failed] == ["first", "second"]
