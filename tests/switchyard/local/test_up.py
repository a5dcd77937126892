"""``switchyard up`` with real processes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from switchyard.local.processes import identities
from switchyard.local.processes.temporary import temporary_folder
from tests.switchyard.local.conftest import Local, eventually, until
from tests.switchyard.local.overlays import Stub


async def test_a_service_sleeps_until_asked_and_sleeps_again_when_idle(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", window="300ms"))
    assert local.phase("chat") == "asleep"
    answer = await client.post(local.url("chat") + "/echo", json={"word": "hello"})
    assert (answer.status_code, answer.json()["body"]) == (200, {"word": "hello"})
    assert local.row("chat")["phases"].keys() == {"spawn", "import", "load", "ready"}
    await until(lambda: local.phase("chat") == "asleep", "it sleeps again")
    await until(lambda: identities.identify(answer.json()["pid"]) is None, "its process is gone")
    again = await client.post(local.url("chat") + "/echo", json={})
    assert again.status_code == 200
    assert again.json()["pid"] != answer.json()["pid"]


async def test_a_request_to_a_service_that_drains_starts_the_next_process_beside_it(
    local: Local, client: httpx.AsyncClient
) -> None:
    local.up(Stub(name="chat", window="300ms", env={"STUB_STOP_SECONDS": "5"}))
    url = local.url("chat") + "/echo"
    first = (await client.post(url, json={})).json()["pid"]
    await until(lambda: local.row("chat")["state"] == "draining", "it drains")
    second = (await client.post(url, json={})).json()["pid"]
    assert second != first
    assert identities.identify(first) is not None  # nobody waited for its end


async def test_fifty_clients_wake_a_sleeping_service_once(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", env={"STUB_LOAD_SECONDS": "0.5"}))
    url = local.url("chat") + "/echo"
    answers = await asyncio.gather(*(client.post(url, json={"number": number}) for number in range(50)))
    assert [answer.json()["body"]["number"] for answer in answers] == list(range(50))
    assert local.row("chat")["starts"] == 1


async def test_what_a_pod_would_get_is_what_the_process_gets(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat"))
    seen = (await client.post(local.url("chat") + "/echo", json={})).json()
    models = str(local.root / "model-repository" / "stubs" / "stub")
    assert seen["env"] == {
        "FROM_MAP": "yes",
        "MODEL_FILE": f"{models}/weights",
        "HOST": "127.0.0.1",
        "INFERENCE_SERVICE_NAME": "chat",
    }
    assert "--model_name=chat" in seen["argv"]
    assert f"--model_dir={models}" in seen["argv"]
    assert "--http_port=8080" not in seen["argv"]


def _argument(argv: list[str], flag: str) -> str:
    return next(text.partition("=")[2] for text in argv if text.startswith(f"{flag}="))


async def test_the_containers_of_a_pod_reach_each_other(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", runtime="two"))
    seen = (await client.post(local.url("chat") + "/echo", json={})).json()
    peer = _argument(seen["argv"], "--peer")
    other = (await client.post(f"http://{peer}/echo", json={})).json()
    assert _argument(other["argv"], "--http-port") == peer.partition(":")[2] != "9000"
    assert other["pid"] != seen["pid"]


async def test_a_pod_starts_anew_when_a_container_beside_dies(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", runtime="two"))
    url = local.url("chat") + "/echo"
    seen = (await client.post(url, json={})).json()
    other = (await client.post(f"http://{_argument(seen['argv'], '--peer')}/echo", json={})).json()
    os.kill(other["pid"], signal.SIGKILL)
    await until(lambda: identities.identify(seen["pid"]) is None, "the public container is gone too")
    again = (await client.post(url, json={})).json()
    assert again["pid"] != seen["pid"]
    assert local.row("chat")["starts"] == 2


async def test_a_container_that_cannot_start_is_named_with_its_reason(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", runtime="two", env={"STUB_EXIT": "3"}))
    rejected = await client.post(local.url("chat") + "/echo", json={})
    assert rejected.status_code == 503
    assert "chat.kserve-container:" in rejected.json()["error"]["message"]


async def test_models_in_a_hosted_repository_are_listed_as_they_come_and_go(
    local: Local, client: httpx.AsyncClient
) -> None:
    repository = local.root / "model-repository" / "pictures"
    (repository / "ocr" / "1").mkdir(parents=True)
    (repository / "not-a-model").mkdir()
    local.up(
        Stub(name="vision", runtime="two", format="triton", kind="vision", storage="pvc://model-repository/pictures")
    )
    assert list(local.models()) == ["ocr"]
    assert (await client.post(local.models()["ocr"].url + "/echo", json={})).status_code == 200
    await until(lambda: local.models()["ocr"].state.phase == "ready", "the model is as ready as its host")
    assert "ocr is served by vision; " in local.command("logs", "ocr").stderr
    (repository / "digits").mkdir()
    (repository / "digits" / "config.pbtxt").touch()
    await until(lambda: "digits" in local.models(), "a new folder is listed")
    assert local.models()["digits"].state.phase == "ready"
    (repository / "digits" / "config.pbtxt").unlink()
    await until(lambda: "digits" not in local.models(), "a folder that is no model any more is not")


async def test_requests_in_flight_when_a_predictor_is_killed_get_responses(
    local: Local, client: httpx.AsyncClient
) -> None:
    local.up(Stub(name="chat", concurrency=4))
    url = local.url("chat") + "/echo"
    pid = (await client.post(url, json={})).json()["pid"]
    requests = [asyncio.ensure_future(client.post(url, json={"wait": 0.3, "number": n})) for n in range(12)]
    await until(lambda: local.row("chat")["in_flight"] == 4, "four are in flight")
    os.kill(pid, signal.SIGKILL)
    answers = await asyncio.gather(*requests)
    assert [answer.status_code for answer in answers] == [200] * 12
    assert [answer.json()["body"]["number"] for answer in answers] == list(range(12))
    assert local.row("chat")["starts"] == 2


async def test_a_stream_whose_predictor_dies_is_visibly_cut(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat"))
    request = client.build_request("POST", local.url("chat") + "/stream", json={"events": 100, "wait": 0.05})
    answer = await client.send(request, stream=True)
    chunks = answer.aiter_bytes()
    assert await anext(chunks) == b"data: 0\n\n"
    os.kill(local.row("chat")["pid"], signal.SIGKILL)
    with pytest.raises(httpx.RemoteProtocolError):
        await _drain(chunks)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        continue


async def test_a_stream_arrives_event_by_event_and_keeps_its_service_awake(
    local: Local, client: httpx.AsyncClient
) -> None:
    local.up(Stub(name="chat", window="100ms"))
    text = ""
    async with client.stream("POST", local.url("chat") + "/stream", json={"events": 5, "wait": 0.1}) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        async for chunk in answer.aiter_text():
            text += chunk
            assert local.phase("chat") == "ready"
    assert text == "".join(f"data: {number}\n\n" for number in range(5))


async def test_container_concurrency_is_a_hard_limit(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", concurrency=2))
    url = local.url("chat")
    answers = await asyncio.gather(*(client.post(url + "/echo", json={"wait": 0.02}) for _ in range(10)))
    assert all(answer.status_code == 200 for answer in answers)
    peak = (await client.get(url + "/peak")).json()
    assert (peak["requests"], peak["most"]) == (10, 2)


async def test_a_client_that_disconnects_while_held_leaves_the_queue(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", concurrency=1))
    url = local.url("chat")
    first = asyncio.ensure_future(client.post(url + "/echo", json={"wait": 0.5}))
    await until(lambda: local.row("chat")["in_flight"] == 1, "one is in flight")
    second = asyncio.ensure_future(client.post(url + "/echo", json={"wait": 30}))
    await until(lambda: local.row("chat")["held"] == 1, "one is held")
    second.cancel()
    await until(lambda: local.row("chat")["held"] == 0, "nothing is held")
    assert (await first).status_code == 200
    assert (await client.get(url + "/peak")).json()["requests"] == 1


async def test_a_predictor_that_keeps_crashing_fails_with_its_reason(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", env={"STUB_EXIT": "3"}))
    answer = await client.post(local.url("chat") + "/echo", json={})
    assert answer.status_code == 503
    assert "exited with code 3: no engine: out of memory, 3 times in a row" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert local.phase("chat") == "failed"
    assert local.row("chat")["starts"] == 3


async def test_a_start_past_its_progress_deadline_fails(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", deadline="300ms", env={"STUB_LOAD_SECONDS": "60"}))
    answer = await client.post(local.url("chat") + "/echo", json={})
    assert answer.status_code == 503
    assert "not ready within" in answer.json()["error"]["message"]


async def test_a_request_that_crashes_its_predictor_is_not_tried_for_ever(
    local: Local, client: httpx.AsyncClient
) -> None:
    local.up(Stub(name="chat"))
    answer = await client.post(local.url("chat") + "/crash", json={})
    assert answer.status_code in (502, 503)
    assert local.row("chat")["starts"] == 3


async def test_a_model_that_is_not_on_this_machine_is_listed_as_failed(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="hub", storage="hf://org/model"), Stub(name="here"))
    answer = await client.post(local.url("hub") + "/echo", json={})
    assert answer.status_code == 503
    assert "hf download org/model --local-dir model-repository/hub/org/model`" in answer.json()["error"]["message"]
    assert (await client.post(local.url("here") + "/echo", json={})).status_code == 200


async def test_a_service_whose_model_folder_appears_recovers(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", storage="pvc://model-repository/late"))
    state = local.models()["chat"].state
    assert (state.phase, state.retryable) == ("failed", True)
    assert state.reason.startswith("its model folder model-repository/late does not exist; put the model there")
    assert str(local.root) in local.row("chat")["reason"]  # the person at the terminal has the whole path
    assert local.row("chat")["starts"] == 0
    url = local.url("chat") + "/echo"
    answer = await client.post(url, json={})
    assert answer.status_code == 503
    assert "folder model-repository/late does not exist; put the model" in answer.json()["error"]["message"]
    (local.root / "model-repository" / "late").mkdir()
    due = time.monotonic() + 10
    while answer.status_code == 503 and time.monotonic() < due:
        answer = await client.post(url, json={})
    assert answer.status_code == 200


async def test_no_request_is_lost_at_the_edge_of_sleep(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", window="30ms"))
    url = local.url("chat") + "/echo"

    async def ask(number: int) -> int:
        await asyncio.sleep(number * 0.037)
        return (await client.post(url, json={"number": number})).status_code

    assert await asyncio.gather(*(ask(number) for number in range(80))) == [200] * 80
    assert local.row("chat")["starts"] > 1


async def test_probes_do_not_wake_a_sleeping_service(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat"))
    for path in ("/v2/health/ready", "/metrics"):
        assert (await client.get(local.url("chat") + path)).status_code == 503
    assert local.row("chat")["starts"] == 0


async def test_a_request_that_waits_longer_than_its_timeout_gets_504(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat", timeout=1, env={"STUB_LOAD_SECONDS": "5"}))
    answer = await client.post(local.url("chat") + "/echo", json={})
    assert answer.status_code == 504


async def test_min_replicas_keeps_a_service_running(local: Local) -> None:
    local.up(Stub(name="chat", min_replicas=1, window="50ms"))
    await until(lambda: local.phase("chat") == "ready", "it runs without a request")
    pid = local.row("chat")["pid"]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: local.phase("chat") == "ready" and local.row("chat")["pid"] != pid, "it runs again")


async def test_the_gateway_is_started_again_when_it_dies(local: Local, client: httpx.AsyncClient) -> None:
    run = local.up()
    os.kill(local.row("gateway")["pid"], signal.SIGKILL)
    await until(lambda: local.row("gateway")["starts"] == 2, "it is started again")
    await until(lambda: local.row("gateway")["state"] == "ready", "it answers")
    assert (await client.get(run.gateway + "/readyz")).status_code == 200


async def test_a_gateway_that_finds_its_port_taken_says_by_whom_and_is_back_once_it_is_free(local: Local) -> None:
    local.up()
    os.kill(local.row("gateway")["pid"], signal.SIGKILL)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await until(lambda: _binds(other, local.port), "its port is free")
        other.listen()
        told = f"port {local.port}, which Deployment gateway needs, is taken by process {os.getpid()} ("
        await until(lambda: told in local.row("gateway")["reason"], "it says who listens there")
    await until(lambda: local.row("gateway")["state"] == "ready", "it is back")


def _binds(other: socket.socket, port: int) -> bool:
    try:
        other.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything(local: Local, client: httpx.AsyncClient, number: signal.Signals) -> None:
    local.up(Stub(name="chat", min_replicas=1))
    await until(lambda: local.phase("chat") == "ready", "it runs")
    assert local.stop(number) == 0
    assert local.left() == []
    assert not local.directory.catalog.exists()


async def test_a_stop_finishes_what_is_in_flight(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat"))
    answer = asyncio.ensure_future(client.post(local.url("chat") + "/echo", json={"wait": 1}))
    await until(lambda: local.row("chat")["in_flight"] == 1, "it is in flight")
    assert await asyncio.to_thread(local.stop, signal.SIGTERM) == 0
    assert (await answer).status_code == 200


async def test_a_second_signal_ends_the_waiting(local: Local, client: httpx.AsyncClient) -> None:
    local.up(Stub(name="chat"))
    answer = asyncio.ensure_future(client.post(local.url("chat") + "/echo", json={"wait": 60}))
    await until(lambda: local.row("chat")["in_flight"] == 1, "it is in flight")
    gateway = local.row("gateway")["pid"]
    assert local.process is not None
    local.process.send_signal(signal.SIGINT)
    await until(lambda: identities.identify(gateway) is None, "the gateway has stopped")
    assert await asyncio.to_thread(local.stop, signal.SIGINT) == 0
    await asyncio.wait([answer])
    assert local.left() == []


async def test_nothing_survives_a_killed_supervisor_and_the_next_up_works(
    local: Local, client: httpx.AsyncClient
) -> None:
    local.up(Stub(name="chat", min_replicas=1))
    await until(lambda: local.phase("chat") == "ready", "it runs")
    local.stop(signal.SIGKILL)
    await until(lambda: local.left() == [], "its processes die with it")
    local.up(Stub(name="chat"))
    assert (await client.post(local.url("chat") + "/echo", json={})).status_code == 200


def test_temporary_files_go_with_their_run(local: Local) -> None:
    first = temporary_folder(local.up().run_id)
    (first / "socket of an engine").touch()
    local.stop(signal.SIGKILL)
    second = temporary_folder(local.up().run_id)
    (second / "another").touch()

    assert not first.exists()
    assert local.stop(signal.SIGTERM) == 0
    assert not second.exists()


def test_up_ends_what_a_killed_run_left_behind(local: Local) -> None:
    run = local.up()
    mark = {**os.environ, identities.RUN_VARIABLE: run.run_id}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=mark, stdin=subprocess.PIPE) as stray:
        local.stop(signal.SIGKILL)
        eventually(lambda: len(local.left()) == 1, "only the stray is left")
        local.up()
        assert stray.wait(timeout=10) == -signal.SIGKILL
