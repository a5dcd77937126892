"""Streams and disconnects: bytes unchanged, comments while a model wakes, cancellation upstream, repeats."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.catalog import Catalog, State
from tests.switchyard.gateway.conftest import Bench, Call, gateway, until


def test_streams_pass_byte_for_byte(tmp_path: Path) -> None:
    chunks: list[bytes] = []

    async def stream(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        for chunk in chunks:
            await call.chunk(chunk)
            await asyncio.sleep(0)
        await call.end()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        opened = gateway(tmp_path, stream)
        bench = runner.run(opened.__aenter__())

        @settings(max_examples=50, deadline=None)
        @given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=12))
        def passes(drawn: list[bytes]) -> None:
            chunks[:] = drawn
            assert runner.run(bench.chat(stream=True)).content == b"".join(drawn)

        try:
            passes()
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def test_each_chunk_is_sent_on_at_once(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def stream(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b"data: 1\n\n")
        await go_on.wait()
        await call.end(b"data: 2\n\n")

    async with gateway(tmp_path, stream) as bench:
        request = bench.http.build_request("POST", "/v1/chat/completions", json={"model": "chat", "stream": True})
        answer = await bench.http.send(request, stream=True)
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"data: 1\n\n"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"data: 2\n\n"]


async def test_a_stream_to_a_sleeping_model_gets_comments_until_the_model_responds(tmp_path: Path) -> None:
    awake = asyncio.Event()

    async def wake(call: Call) -> None:
        await awake.wait()
        await call.start(content_type=b"text/event-stream")
        await call.end(b"data: x\n\ndata: [DONE]\n\n")

    async with gateway(tmp_path, wake, heartbeat_seconds=0.02) as bench:
        request = bench.http.build_request("POST", "/v1/chat/completions", json={"model": "sleepy", "stream": True})
        answer = await bench.http.send(request, stream=True)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        got = b""
        async for chunk in answer.aiter_raw():
            got += chunk
            if got.count(b": waking sleepy\n\n") == 3:
                awake.set()
        assert got.startswith(b": waking sleepy\n\n" * 3)
        assert got.replace(b": waking sleepy\n\n", b"") == b"data: x\n\ndata: [DONE]\n\n"


async def test_a_comment_says_in_one_line_what_the_model_waits_for(tmp_path: Path) -> None:
    awake = asyncio.Event()

    async def wake(call: Call) -> None:
        await awake.wait()
        await call.start(content_type=b"text/event-stream")
        await call.end(b"data: [DONE]\n\n")

    async with gateway(tmp_path, wake, heartbeat_seconds=0.02) as bench:
        models = bench.catalog.current().models
        state = State(phase="waking", reason="its start waits\n\nfor imports")
        bench.catalog.replace(Catalog({**models, "sleepy": replace(models["sleepy"], state=state)}))
        request = bench.http.build_request("POST", "/v1/chat/completions", json={"model": "sleepy", "stream": True})
        answer = await bench.http.send(request, stream=True)
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b": waking sleepy: its start waits for imports\n\n"
        awake.set()
        assert (b"".join([chunk async for chunk in chunks])).endswith(b"data: [DONE]\n\n")


async def test_an_error_after_the_comments_arrives_as_an_event(tmp_path: Path) -> None:
    async def fail(call: Call) -> None:
        await call.answer({"error": {"message": "no memory", "code": "oom"}}, 503)

    async with gateway(tmp_path, fail) as bench:
        answer = await bench.chat("sleepy", stream=True)
        assert answer.status_code == 200
        events = [line for line in answer.text.split("\n\n") if line.startswith("data:")]
        assert json.loads(events[0][5:]) == {"error": {"message": "no memory", "code": "oom"}}
        assert events[1] == "data: [DONE]"


async def test_a_plain_request_to_a_sleeping_model_just_waits(bench: Bench) -> None:
    answer = await bench.chat("sleepy")
    assert (answer.status_code, answer.json()["model"]) == (200, "sleepy")


async def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(tmp_path: Path) -> None:
    async def break_off(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b"data: 1\n\n")
        raise ConnectionError

    async with gateway(tmp_path, break_off) as bench:
        answer = await bench.chat(stream=True)
        assert '"code":"upstream_closed"' in answer.text
        assert "[DONE]" not in answer.text


async def break_off_json(call: Call) -> None:
    await call.start(content_length="1000")
    await call.chunk(b"{")
    raise ConnectionError


async def test_a_plain_response_that_breaks_off_is_seen_as_broken(tmp_path: Path) -> None:
    async with gateway(tmp_path, break_off_json) as bench:
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.chat()


async def test_json_that_breaks_off_is_seen_as_broken_though_a_stream_was_asked_for(tmp_path: Path) -> None:
    async with gateway(tmp_path, break_off_json) as bench:
        (response,) = await asyncio.gather(bench.chat(stream=True), return_exceptions=True)
    assert isinstance(response, httpx.RemoteProtocolError)


@pytest.mark.parametrize("after", [b"", b"no chunk"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_ends_before_its_body_begins_is_a_502(bench: Bench, after: bytes, stream: bool) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n" + after)
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        bench.put("chat", url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        (response,) = await asyncio.gather(bench.chat(stream=stream), return_exceptions=True)
    assert isinstance(response, httpx.Response)
    code = "upstream_invalid" if after else "upstream_closed"
    assert (response.status_code, response.json()["error"]["code"]) == (502, code)


ODD = [b"no json", b"[]", b"null", b'{"choices":{"a":1}}', b'{"choices":[1]}', b'{"choices":[{"text":5,"delta":5}]}']


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("path", ["/v1/llm/chat", "/v1/chat/chat"])
async def test_a_short_form_tells_of_a_model_that_does_not_speak_openai(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, events: bool, odd: bytes
) -> None:
    async def respond(call: Call) -> None:
        await call.start(content_type=b"text/event-stream" if events else b"application/json")
        await call.end(b"data: " + odd + b"\n\n" if events else odd)

    async with gateway(tmp_path, respond) as bench:
        asked = bench.http.post(path, json={"model": "chat", "prompt": "hello", "stream": events})
        (response,) = await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(response, httpx.Response)
    assert response.status_code == 502
    assert "model chat" in response.text
    assert not [record for record in caplog.records if record.exc_info]


async def test_an_error_without_a_word_gets_a_sentence(tmp_path: Path) -> None:
    async def respond(call: Call) -> None:
        await call.start(500)
        await call.end()

    async with gateway(tmp_path, respond) as bench:
        response = await bench.chat()
    assert response.json()["error"]["message"] == "model chat responded with 500"


@pytest.mark.parametrize("model", ["chat", "sleepy"])
@pytest.mark.parametrize("form", ["plain", "stream", "silent-stream"])
async def test_a_client_that_disconnects_cancels_the_model_at_once(tmp_path: Path, form: str, model: str) -> None:
    left = asyncio.Event()
    when = 0.0

    async def generate(call: Call) -> None:
        nonlocal when
        if form == "stream":
            await call.start(content_type=b"text/event-stream")
            await call.chunk(b"data: 1\n\n")
        await call.disconnected()
        when = asyncio.get_running_loop().time()
        left.set()

    async with gateway(tmp_path, generate) as bench:
        host, port = bench.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"model": model, "stream": form != "plain"}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: len(bench.model.calls) == 1)
        closed = asyncio.get_running_loop().time()
        writer.close()
        await asyncio.wait_for(left.wait(), 5)
        assert when - closed < 0.5  # a few milliseconds on a quiet machine
        labels = f'code="499",model="{model}",outcome="cancelled",route="/v1/chat/completions"'
        async with asyncio.timeout(5):
            while not await bench.metric(f"gateway_requests_total{{{labels}}} 1.0"):
                await asyncio.sleep(0.001)
        assert await bench.metric(f'gateway_cancelled_total{{model="{model}"}} 1.0')


async def test_a_model_that_moves_while_it_cannot_be_reached_is_found(bench: Bench) -> None:
    task = asyncio.create_task(bench.chat("nobody"))
    while not await bench.metric('gateway_upstream_retries_total{model="nobody"} 1.0'):
        await asyncio.sleep(0.001)
    bench.put("nobody", url=bench.model.url)
    assert (await task).status_code == 200


async def test_a_body_that_takes_longer_than_all_attempts_is_retried_too(tmp_path: Path) -> None:
    async with gateway(tmp_path, retry_seconds=0.2) as bench:
        time = asyncio.get_running_loop().time

        async def body() -> AsyncIterator[bytes]:
            yield b'{"model": "nobody", '
            began = time()
            await until(lambda: time() > began + 0.25)
            yield b'"messages": []}'

        headers = {"content-type": "application/json"}
        response = await bench.http.post("/v1/chat/completions", content=body(), headers=headers)
        assert response.status_code == 503
        assert 'gateway_upstream_retries_total{model="nobody"}' in (await bench.http.get("/metrics")).text


async def test_a_model_that_stays_unreachable_is_a_503(bench: Bench) -> None:
    answer = await bench.chat("nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_unreachable")
    assert answer.headers["retry-after"] == "1"


async def test_a_request_on_which_a_fresh_connection_dies_is_repeated_once(bench: Bench) -> None:
    tries = 0

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(die, "127.0.0.1", 0)
    bench.put("chat", url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    answer = await bench.chat()
    assert (answer.status_code, answer.json()["error"]["code"], tries) == (502, "upstream_closed", 2)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("status", "code"), [(502, "upstream_closed"), (503, "upstream_unreachable"), (504, "upstream_timeout")]
)
async def test_a_proxys_words_in_place_of_a_model_become_an_error_to_try_again_after(
    bench: Bench, status: int, code: str
) -> None:
    async def in_its_place(call: Call) -> None:
        await call.start(status, b"text/plain; charset=utf-8")
        await call.end(b"dial tcp 127.0.0.1:8080: connect: connection refused")

    bench.model.script = in_its_place
    answer = await bench.http.post("/v1/chat/completions", json={"model": "chat", "messages": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "127.0.0.1" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_response_to_a_post_is_never_asked_for_again(tmp_path: Path, status: int) -> None:
    async def fail(call: Call) -> None:
        await call.answer({}, status)

    async with gateway(tmp_path, fail) as bench:
        assert (await bench.chat()).status_code == status
        assert len(bench.model.calls) == 1


@pytest.mark.parametrize(("headers", "calls"), [({}, 2), ({"retry_after": "5"}, 1)])
async def test_metadata_is_asked_for_again_unless_the_model_says_when(
    tmp_path: Path, headers: dict[str, str], calls: int
) -> None:
    async def once_unavailable(call: Call) -> None:
        await call.answer({}, 503 if len(bench.model.calls) == 1 else 200, **headers)

    async with gateway(tmp_path, once_unavailable) as bench:
        answer = await bench.http.get("/v2/models/ocr")
        assert (answer.status_code, len(bench.model.calls)) == (200 if calls == 2 else 503, calls)


async def test_a_model_that_never_begins_is_a_504(tmp_path: Path) -> None:
    async def mute(call: Call) -> None:
        await call.disconnected()

    async with gateway(tmp_path, mute, first_byte_seconds=0.05) as bench:
        answer = await bench.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        assert len(bench.model.calls) == 1
