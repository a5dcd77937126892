"""The ``switchyard`` command on real processes."""

import json
import subprocess
import sys

import httpx

from tests.switchyard.local.conftest import Local
from tests.switchyard.local.overlays import Stub, free_port, write


def test_help_is_there_at_once_because_nothing_heavy_is_imported() -> None:
    code = "import sys, switchyard.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"yaml", "rich", "uvicorn", "grpc", "prometheus_client", "asyncio"} & set(loaded)


def test_a_second_up_is_rejected(local: Local) -> None:
    local.up()
    answer = local.command("up", "overlay")
    assert answer.returncode == 1
    assert "already running" in answer.stderr
    assert "switchyard down" in answer.stderr


def test_up_detached_returns_when_the_gateway_answers_and_down_leaves_nothing(local: Local) -> None:
    write(local.root, [Stub(name="chat")], local.port)
    answer = local.command("up", "overlay", "--detach")
    assert answer.returncode == 0, answer.stderr
    run = local.directory.running()
    assert run is not None
    local.runs.append(run)
    assert httpx.get(run.gateway + "/readyz", trust_env=False).status_code == 200
    assert f"curl {run.gateway}/v1/models" in answer.stdout
    assert "chat" in local.command("status").stdout
    assert local.command("down").stdout == "stopped\n"
    assert local.left() == []
    assert local.command("status").returncode == 1


def test_up_detached_tells_why_it_did_not_start(local: Local) -> None:
    overlay = write(local.root, [], free_port())
    documents = overlay / "documents.yaml"
    documents.write_text(
        documents.read_text() + '\n---\n{"apiVersion": "v1", "kind": "Odd", "metadata": {"name": "x"}}'
    )
    answer = local.command("up", "overlay", "--detach")
    assert answer.returncode == 1
    assert "Odd x: local mode does not know the kind Odd" in answer.stderr


def test_logs_prints_what_a_service_said(local: Local) -> None:
    local.up(Stub(name="chat"))
    httpx.post(local.url("chat") + "/echo", json={}, trust_env=False)
    lines = local.command("logs", "chat").stdout.splitlines()
    assert "load" in [json.loads(line).get("phase") for line in lines if line.startswith("{")]
    assert "there are: " in local.command("logs", "nobody").stderr


def test_a_taken_port_is_named(local: Local) -> None:
    other = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(local.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        overlay = write(local.root, [], local.port)
        while other.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{local.port}", trust_env=False)
                break
            except httpx.ConnectError:
                continue
        answer = local.command("up", str(overlay))
        assert f"port {local.port} of Deployment gateway cannot be used" in answer.stderr
    finally:
        other.kill()
        other.wait()
