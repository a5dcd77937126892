"""A stream that its socket lost goes on at another socket, or over HTTP."""

from pathlib import Path

from tests.switchyard.gateway.conftest import until
from tests.switchyard.gateway.recordings.recorded import Steps, gateways, numbered
from tests.switchyard.gateway.websocket.clients import connect

HEADERS = {"x-switchyard-resume": "true", "x-switchyard-continue": "30"}


async def test_a_stream_goes_on_from_any_event_at_any_gateway(tmp_path: Path) -> None:
    steps = Steps()
    async with gateways(tmp_path, steps, 2) as benches:
        async with connect(benches[0]) as socket:
            await socket.chat("a", headers=HEADERS)
            steps.go(2)
            started, *chunks = [await socket.heard() for _ in range(3)]
            socket.connection.transport.abort()
        assert [chunk["event"] for chunk in chunks] == [1, 2]
        async with connect(benches[1]) as socket:
            await socket.say(id="b", resume=started["request_id"], after=1)
            assert (await socket.heard())["started"] is True
            assert await socket.heard() == {**chunks[1], "id": "b"}
            steps.go(steps.all)
            heard = await socket.until_end("b")
        assert heard[-1] == {"id": "b", "done": True, "status": 200}
        assert [message["event"] for message in heard[:-1]] == list(range(3, 2 + len(heard)))
        await until(lambda: not benches[0].served.recording)
        over_http = await benches[1].http.get(f"/v1/streams/{started['request_id']}")
        assert over_http.content == numbered([*steps.events, steps.end])
    assert steps.begun == 1


async def test_what_nobody_recorded_is_not_found(tmp_path: Path) -> None:
    async with gateways(tmp_path) as benches, connect(benches[0]) as socket:
        await socket.say(id="a", resume="nothing")
        (failed,) = await socket.until_end("a")
        assert (failed["status"], failed["error"]["code"]) == (404, "not_found")


async def test_an_idempotency_key_gives_the_same_response_on_a_socket_as_over_http(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as benches, connect(benches[0]) as socket:
        await socket.chat("a", headers={"idempotency-key": "one"})
        first = await socket.until_end("a")
        await until(lambda: not benches[0].served.recording)
        await socket.chat("b", headers={"idempotency-key": "one"})
        again = await socket.until_end("b")
        assert [one.get("chunk") for one in again] == [one.get("chunk") for one in first]
        assert again[0]["headers"]["idempotency-replayed"] == "true"
    assert steps.begun == 1
