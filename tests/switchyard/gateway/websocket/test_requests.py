"""Requests on a WebSocket: the objects of HTTP, many at a time, cancelled, malformed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.catalog import State
from switchyard.gateway.websocket.sockets import SocketLimits
from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway, until
from tests.switchyard.gateway.websocket.clients import BODY, connect, endless


async def chunks_over_http(bench: Bench) -> list[Any]:
    response = await bench.chat(stream=True)
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


async def test_a_stream_has_the_chunks_of_http_between_started_and_done(bench: Bench) -> None:
    async with connect(bench) as socket:
        await socket.chat("a")
        started, *chunks, done = await socket.until_end("a")

    assert started["started"] is True
    assert started["status"] == 200
    assert [chunk["chunk"] for chunk in chunks] == await chunks_over_http(bench)
    assert done == {"id": "a", "done": True, "status": 200}
    assert bench.model.calls[0].scope["path"] == "/openai/v1/chat/completions"
    assert bench.model.bodies[0] == {**BODY, "stream": True}
    assert bench.model.calls[0].headers[b"x-request-id"].decode() == started["request_id"]


async def test_a_response_that_is_no_stream_comes_in_one_message(bench: Bench) -> None:
    async with connect(bench) as socket:
        await socket.chat("a", stream=False)
        (done,) = await socket.until_end("a")
    assert done["body"] == (await bench.chat()).json()
    assert (done["done"], done["status"]) == (True, 200)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"type": "completion"}, "/openai/v1/completions"),
        ({"type": "responses"}, "/openai/v1/responses"),
        ({"path": "/v1/messages"}, "/openai/v1/messages"),
        ({"path": "/openai/v1/chat/completions"}, "/openai/v1/chat/completions"),
    ],
)
async def test_a_type_or_a_path_names_the_route(bench: Bench, message: dict[str, str], path: str) -> None:
    async with connect(bench) as socket:
        await socket.say(id="a", body=BODY, **message)
        assert (await socket.until_end("a"))[-1]["done"] is True
    assert bench.model.calls[0].scope["path"] == path


async def test_headers_of_a_request_are_those_of_http(bench: Bench) -> None:
    async with connect(bench) as socket:
        headers = {"X-Request-Id": "mine-1", "x-switchyard-conversation": "c"}
        await socket.chat("a", headers=headers)
        assert (await socket.until_end("a"))[0]["request_id"] == "mine-1"
    assert bench.model.calls[0].headers[b"x-request-id"] == b"mine-1"
    assert bench.model.calls[0].headers[b"x-switchyard-conversation"] == b"c"


async def test_many_requests_run_beside_each_other_and_take_turns(tmp_path: Path) -> None:
    async with gateway(tmp_path, endless) as bench, connect(bench, max_queue=1) as socket:
        for number in range(8):
            await socket.chat(str(number))
        seen = dict.fromkeys("01234567", 0)
        while not all(seen.values()) or sum(seen.values()) < 8000:
            heard = await socket.heard()
            if "chunk" not in heard:
                continue
            if not all(seen.values()):  # so far some had not begun
                seen = {name: min(count, 1) for name, count in seen.items()}
            seen[heard["id"]] += 1
        assert max(seen.values()) < 3 * min(seen.values())


async def test_a_request_is_cancelled_by_its_id_and_others_go_on(tmp_path: Path) -> None:
    async def waits(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b'data: {"n": 1}\n\n')
        await call.disconnected()
        bench.model.left.set()

    async with gateway(tmp_path, waits) as bench, connect(bench) as socket:
        await socket.chat("a")
        assert [(await socket.heard()).keys() & {"started", "chunk"} for _ in range(2)]
        await socket.say(id="a", cancel=True)
        assert await socket.heard() == {"id": "a", "done": True, "cancelled": True}
        await asyncio.wait_for(bench.model.left.wait(), 5)
        await socket.say(id="a", cancel=True)  # it has ended: no error
        await socket.say(id="never", cancel=True)
        bench.model.script = completion
        await socket.chat("a")  # its id is free again
        assert (await socket.until_end("a"))[-1]["done"] is True
        assert await bench.metric('gateway_cancelled_total{model="chat"} 1.0')


async def test_every_request_ends_at_the_model_when_the_client_leaves(tmp_path: Path) -> None:
    left: list[Call] = []

    async def waits(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b'data: {"n": 1}\n\n')
        await call.disconnected()
        left.append(call)

    async with gateway(tmp_path, waits) as bench:
        async with connect(bench) as socket:
            for name in "abc":
                await socket.chat(name)
            await until(lambda: len(bench.model.calls) == 3)
            socket.connection.transport.abort()
            await until(lambda: len(left) == 3)
        await until(lambda: not bench.server.in_flight)
        assert await bench.metric("gateway_requests_in_flight 0.0")
        assert await bench.metric("gateway_websockets 0.0")
        assert await bench.metric('gateway_websockets_closed_total{code="1006"} 1.0')


@pytest.mark.parametrize(
    ("message", "identifier", "param"),
    [
        ("{", None, None),
        ("[]", None, None),
        ('{"type": "chat", "body": {}}', None, "id"),
        ('{"id": 1, "type": "chat", "body": {}}', None, "id"),
        ('{"id": "", "type": "chat", "body": {}}', None, "id"),
        (json.dumps({"id": "a" * 65, "type": "chat", "body": {}}), None, "id"),
        ('{"id": "a", "body": {}}', "a", "type"),
        ('{"id": "a", "type": "embed", "body": {}}', "a", "type"),
        ('{"id": "a", "type": "chat"}', "a", "body"),
        ('{"id": "a", "type": "chat", "body": "x"}', "a", "body"),
        ('{"id": "a", "type": "chat", "body": {}, "headers": {"x-a": 1}}', "a", "headers"),
        ('{"id": "a", "type": "chat", "body": {}, "headers": {"authorization": "Bearer x"}}', "a", "headers"),
        ('{"id": "a", "type": "chat", "body": {}, "headers": {"content-encoding": "gzip"}}', "a", "headers"),
        ('{"id": "a", "type": "chat", "body": {}, "headers": {"x-a": "b\\r\\nc: d"}}', "a", "headers"),
        ('{"id": "a", "resume": 1}', "a", "resume"),
        ('{"key": "sy-x"}', None, "key"),
        ("[" * 1000, None, None),
    ],
)
async def test_a_message_that_is_none_gets_an_error_and_the_socket_goes_on(
    bench: Bench, message: str, identifier: str | None, param: str | None
) -> None:
    async with connect(bench) as socket:
        await socket.connection.send(message)
        heard = await socket.heard()
        assert (heard["id"], heard["status"], heard["error"]["param"]) == (identifier, 400, param)
        await socket.chat("b")
        assert (await socket.until_end("b"))[-1]["done"] is True


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"path": "/v1/embeddings"}, 404, "not_found"),
        ({"path": "/metrics"}, 404, "not_found"),
        ({"path": "/v1/streams/x"}, 404, "not_found"),
        ({"type": "chat", "body": {**BODY, "model": "nope"}}, 404, "model_not_found"),
        ({"type": "chat", "body": {"messages": []}}, 400, "missing_model"),
        ({"type": "chat", "body": {**BODY, "model": "embed"}}, 400, "wrong_model_kind"),
        ({"type": "chat", "body": {**BODY, "model": "broken"}}, 503, "model_failed"),
    ],
)
async def test_errors_are_those_of_http_and_end_their_request(
    bench: Bench, fields: dict[str, Any], status: int, code: str
) -> None:
    async with connect(bench) as socket:
        await socket.say(**{"id": "a", "body": BODY, **fields})
        (failed,) = await socket.until_end("a")
        assert (failed["status"], failed["error"]["code"]) == (status, code)


async def test_two_requests_of_one_id_and_too_many_requests_are_rejected(tmp_path: Path) -> None:
    async def waits(call: Call) -> None:
        await call.disconnected()

    limits = SocketLimits(requests=2)
    async with gateway(tmp_path, waits, sockets=limits) as bench, connect(bench) as socket:
        await socket.chat("a")
        await socket.chat("a")
        twice = await socket.heard()
        assert (twice["id"], twice["error"]["param"]) == (None, "id")
        await socket.chat("b")
        await socket.chat("c")
        (full,) = await socket.until_end("c")
        assert (full["status"], full["error"]["code"]) == (429, "too_many_requests")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b'data: {"error": {"message": "engine", "code": 500}}\n\ndata: [DONE]\n\n', 500),
        (b'data: 1}, "id": "b", {"x": 1\n\n', "upstream_invalid"),
        (b"data: \xff\n\n", "upstream_invalid"),
    ],
    ids=["the model's own", "not JSON", "not UTF-8"],
)
async def test_a_stream_that_fails_ends_with_an_error(tmp_path: Path, said: bytes, code: object) -> None:
    async def fails(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b'data: {"n": 1}\n\n')
        await asyncio.sleep(0.01)
        await call.end(said)

    async with gateway(tmp_path, fails) as bench, connect(bench) as socket:
        await socket.chat("a")
        *_, chunk, failed = await socket.until_end("a")
        assert chunk["chunk"] == {"n": 1}
        assert failed["error"]["code"] == code


async def test_a_stream_that_is_cut_ends_with_an_error(tmp_path: Path) -> None:
    async def cut(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b'data: {"n": 1}\n\n')
        raise RuntimeError

    async with gateway(tmp_path, cut) as bench, connect(bench) as socket:
        await socket.chat("a")
        failed = (await socket.until_end("a"))[-1]
        assert (failed["status"], failed["error"]["code"]) == (502, "upstream_closed")


async def test_a_waking_model_says_so_while_the_request_waits(tmp_path: Path) -> None:
    async def wakes(call: Call) -> None:
        await asyncio.sleep(0.1)
        await completion(call)

    async with gateway(tmp_path, wakes, heartbeat_seconds=0.02) as bench, connect(bench) as socket:
        bench.put("chat", state=State(phase="asleep"))
        await socket.chat("a")
        heard = await socket.until_end("a")
        assert {"id": "a", "waiting": "waking chat"} in heard
        assert heard[-1]["done"] is True


async def test_chunks_of_one_read_and_events_with_ids_keep_their_order(tmp_path: Path) -> None:
    async def numbered(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.end(b"".join(b'id: %d\ndata: {"n":\ndata: %d}\n\n' % (n, n) for n in range(1, 4)))

    async with gateway(tmp_path, numbered) as bench, connect(bench) as socket:
        await socket.chat("a")
        _, *chunks, _ = await socket.until_end("a")
        assert chunks == [{"id": "a", "event": n, "chunk": {"n": n}} for n in range(1, 4)]


async def test_a_response_that_is_too_large_for_a_message_is_an_error(tmp_path: Path) -> None:
    async def large(call: Call) -> None:
        await call.start()
        for _ in range(17):
            await call.chunk(b'"' + b"a" * 1024 * 1024 + b'",')
        await call.end()

    async with gateway(tmp_path, large) as bench, connect(bench) as socket:
        await socket.chat("a", stream=False)
        (failed,) = await socket.until_end("a")
        assert (failed["status"], failed["error"]["code"]) == (502, "upstream_invalid")


async def test_a_body_that_no_request_may_have_is_rejected_in_a_message_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_body_bytes=1000) as bench, connect(bench) as socket:
        await socket.chat("a", user="x" * 1000)
        (failed,) = await socket.until_end("a")
        assert (failed["status"], failed["error"]["code"]) == (413, "body_too_large")
