"""The router as a process: how KServe starts it, how it fails to start, and how it stops."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.ports import free_port
from tests.switchyard.router.running import Call, node, services, until

COMMAND = (sys.executable, "-m", "switchyard.router")


def environment(**env: str) -> dict[str, str]:
    """No other variables than a pod would have."""
    return {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "METRICS_PORT": "0", "DRAIN_SECONDS": "0", **env}


@asynccontextmanager
async def process(
    arguments: Sequence[str], **env: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """A started router and a client of it."""
    port = free_port()
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment(PORT=str(port), **env), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await _started(child, client)
            yield child, client
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def _started(child: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while child.returncode is None:
            try:
                await client.get("/readyz")
                return
            except httpx.ConnectError:
                await asyncio.sleep(0.01)


async def failed_start(*arguments: str, **env: str) -> tuple[int | None, str]:
    """Exit status and message of a router that does not start."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment(**env), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, message = await child.communicate()
    return child.returncode, message.decode()


def graph(url: str) -> str:
    """A graph with keys that are no business of a router."""
    spec: dict[str, Any] = {"nodes": {"root": node("Sequence", {"name": "a", "serviceUrl": url})}}
    return json.dumps({**spec, "minReplicas": 1, "resources": {"limits": {"cpu": "1"}}})


@pytest.mark.parametrize("joined", [False, True])
async def test_the_graph_comes_as_one_argument_or_two(joined: bool) -> None:
    async with services() as behind:
        text = graph(behind.url + "/a")
        arguments = [f"--graph-json={text}"] if joined else ["--graph-json", text]
        async with process(arguments, PROPAGATE_HEADERS="^X-One$,*bad*", K_SERVICE="auto") as (child, client):
            answer = await client.post("/", json={"x": 1}, headers={"x-one": "1"})
            assert answer.json() == {"from": "a", "got": '{"x":1}'}
            assert behind.calls[0].headers[b"x-one"] == b"1"
            child.send_signal(signal.SIGTERM)
            _, stderr = await asyncio.wait_for(child.communicate(), 20)
            assert child.returncode == 0
            assert b"*bad*" in stderr
            assert {json.loads(line)["service"] for line in stderr.splitlines()} == {"auto"}
            assert b"Traceback" not in stderr


async def test_metrics_are_served_on_a_port_of_their_own() -> None:
    port = free_port()
    async with (
        services() as behind,
        process(["--graph-json", graph(behind.url)], METRICS_PORT=str(port)) as (_, client),
    ):
        await client.post("/openai/v1/chat/completions")
        page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()
        assert 'graph_step_requests_total{code="200",node="root",step="a"} 1.0' in page
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 404


async def test_a_taken_metrics_port_stops_a_router_only_if_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, message = await failed_start(
            "--graph-json", graph("http://a"), PORT=str(free_port()), METRICS_PORT=port
        )
        assert status == 1
        assert "in use" in message


async def test_sigterm_fails_readiness_finishes_what_is_in_flight_and_exits_cleanly() -> None:
    release = asyncio.Event()

    async def hold(call: Call) -> None:
        await release.wait()
        call.answer({"done": True})

    async with (
        services(a=hold) as behind,
        process(["--graph-json", graph(behind.url + "/a")], DRAIN_SECONDS="1") as (child, client),
    ):
        held = asyncio.create_task(client.post("/"))
        await until(lambda: behind.calls)
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            while (await client.get("/readyz")).status_code != 503:
                await asyncio.sleep(0.005)
        late = asyncio.create_task(client.post("/"))  # not ready, but who still comes is served
        await until(lambda: len(behind.calls) == 2)
        async with asyncio.timeout(10):
            while True:
                try:
                    await client.get("/readyz")
                except httpx.TransportError:
                    break
                await asyncio.sleep(0.01)
        assert child.returncode is None
        release.set()
        assert (await held).json() == (await late).json() == {"done": True}
        assert (await held).headers["connection"] == "close"
        _, stderr = await asyncio.wait_for(child.communicate(), 10)
        assert child.returncode == 0
        assert b"Traceback" not in stderr


async def ready_status(client: httpx.AsyncClient) -> int | None:
    """The status of /readyz, None where nothing listens."""
    try:
        return (await client.get("/readyz")).status_code
    except httpx.TransportError:
        return None


async def test_further_signals_end_the_waits() -> None:
    async def hold(call: Call) -> None:
        await asyncio.sleep(60)

    async with (
        services(a=hold) as behind,
        process(["--graph-json", graph(behind.url + "/a")], DRAIN_SECONDS="60") as (child, client),
    ):
        held = asyncio.create_task(client.post("/"))
        await until(lambda: behind.calls)
        async with asyncio.timeout(10):
            for readiness in (503, None):  # draining, then closed; a signal for a process at its end would kill it
                child.send_signal(signal.SIGINT)
                while await ready_status(client) != readiness:
                    await asyncio.sleep(0.01)
            child.send_signal(signal.SIGINT)
            assert await child.wait() == 0
        with pytest.raises(httpx.TransportError):
            await held


BAD = {
    "no graph": ((), "--graph-json"),
    "an unknown flag": (("--graph-json", "{}", "--enable-auth"), "--enable-auth"),
    "no json": (("--graph-json", "{"), "not JSON"),
    "no root": (("--graph-json", '{"nodes": {}}'), "root"),
    "a dangling node": (
        ("--graph-json", '{"nodes":{"root":{"routerType":"Sequence","steps":[{"nodeName":"gone"}]}}}'),
        "gone",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD.keys())
async def test_what_cannot_run_is_rejected_with_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    status, message = await failed_start(*arguments)
    assert status not in (0, None)
    assert said in message
    assert "Traceback" not in message


async def test_a_bad_setting_is_rejected_by_name() -> None:
    status, message = await failed_start("--graph-json", graph("http://a"), PORT="x")
    assert (status, message) == (2, "router: PORT is 'x'; use a whole number from 0 to 65535\n")


def test_no_heavy_library_is_imported() -> None:
    code = "import sys, switchyard.router.__main__; print([m for m in sys.modules if '.' not in m])"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("pydantic", "opentelemetry", "fastapi", "uvicorn", "grpc", "yaml", "typer", "rich", "numpy"):
        assert f"'{heavy}'" not in modules
