"""The ``switchyard`` command on real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.switchyard.local.conftest import Local, eventually
from tests.switchyard.local.overlays import Stub, write


def test_help_is_there_at_once_because_nothing_heavy_is_imported() -> None:
    code = "import sys, switchyard.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"yaml", "rich", "uvicorn", "grpc", "prometheus_client", "asyncio"} & set(loaded)


def test_a_second_up_says_what_runs_and_starts_nothing(local: Local) -> None:
    run = local.up()
    foreground = local.command("up", "overlay")
    assert foreground.returncode == 1
    assert "already running" in foreground.stderr
    assert "switchyard down" in foreground.stderr
    again = local.command("up", "overlay", "--detach")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"{local.root / 'overlay'} runs already.\nServing at {run.gateway}.")
    assert local.directory.running() == local.directory.read()
    assert local.row("gateway")["starts"] == 1


def test_a_second_up_of_something_else_is_an_error_that_says_what_differs(local: Local) -> None:
    run = local.up()
    shutil.copytree(local.root / "overlay", local.root / "other")
    write(local.root, [Stub(name="chat")], local.port)
    for argv, words in {
        ("up", "-d", "other"): f"another overlay runs here, {local.root / 'overlay'}, at {run.gateway}",
        ("up", "-d", "overlay", "--port", "1"): f"at {run.gateway} and not on port 1",
        ("up", "-d", "overlay"): "was changed after its start",
    }.items():
        answer = local.command(*argv)
        assert answer.returncode == 1
        assert words in answer.stderr
        assert "switchyard down` first" in answer.stderr
        assert "again every" not in answer.stderr
    assert local.row("gateway")["starts"] == 1


def test_up_and_status_say_what_models_run_on_and_why(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = local.root / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho GPU-5f, NVIDIA H200, 535.183.01, 143771, 9.0, Disabled\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    write(local.root, [Stub(name="chat")], local.port)
    why = "odels run on the CPU: driver 535.183.01 is older than 580, which CUDA 13 of torch 2.13 needs: update it"

    assert f"\nM{why}.\n" in local.command("up", "overlay", "--detach").stdout
    assert f"\nm{why}\n" in local.command("status").stdout
    assert json.loads(local.command("status", "--json").stdout)["device"] == f"m{why}"


def test_a_device_that_is_wanted_and_is_not_there_is_an_error_at_once(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHYARD_DEVICE", "tpu")
    for overlay in ([], ["overlay"]):
        answer = local.command("up", *overlay)
        assert answer.returncode == 1
        assert "error: SWITCHYARD_DEVICE is 'tpu': it must be cpu, cuda, or empty to find out" in answer.stderr


def test_an_overlay_without_a_gateway_is_an_error_at_once(local: Local) -> None:
    overlay = write(local.root, [Stub(name="chat")], local.port)
    documents = overlay / "documents.yaml"
    parts = documents.read_text().split("\n---\n")
    documents.write_text("\n---\n".join(part for part in parts if '"Deployment"' not in part))
    for flags in ([], ["--detach"]):
        answer = local.command("up", "overlay", *flags)
        assert answer.returncode == 1
        assert f"{overlay} has no gateway" in answer.stderr
    assert local.directory.read() is None


def test_a_gateway_that_does_not_start_is_told_and_tried_again_until_down(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(local.root, [], local.port)
    monkeypatch.setenv("STUB_EXIT", "3")
    answer = local.command("up", "overlay", "--detach")
    assert answer.returncode == 1
    assert "gateway exited with code 3: no engine: out of memory" in answer.stderr
    assert "started again every few seconds until you run `switchyard down`" in answer.stderr
    eventually(lambda: local.row("gateway")["starts"] > 1, "it is started again")
    assert local.command("down").stdout == "stopped\n"


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_the_gateway_takes_the_port_that_the_caller_chooses(
    local: Local, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    write(local.root, [Stub(name="chat")], local.port)
    chosen = free_port()
    if by == "variable":
        monkeypatch.setenv("SWITCHYARD_PORT", str(chosen))
    answer = local.command("up", "overlay", "--detach", *(["--port", str(chosen)] if by == "flag" else []))
    assert answer.returncode == 0, answer.stderr
    url = f"http://127.0.0.1:{chosen}"
    assert httpx.get(url + "/readyz", trust_env=False).status_code == 200
    assert f"Serving at {url}." in answer.stdout
    assert f"gateway {url}," in local.command("status").stdout


def test_an_overlay_without_keys_serves_nobody_else(local: Local) -> None:
    write(local.root, [], local.port)
    answer = local.command("up", "overlay", "--detach", "--listen", "0.0.0.0")
    assert answer.returncode == 1
    assert (
        "the gateway of this overlay checks no keys, so it does not listen on 0.0.0.0: give it tenants" in answer.stderr
    )
    assert local.directory.read() is None


def test_the_gateway_learns_where_to_listen_and_a_second_up_elsewhere_is_an_error(local: Local) -> None:
    write(local.root, [Stub(name="chat")], local.port)
    answer = local.command("up", "overlay", "--detach", "--listen", "127.0.0.2")
    assert answer.returncode == 0, answer.stderr
    run = local.directory.running()
    assert run is not None
    local.runs.append(run)
    environ = Path(f"/proc/{run.processes['gateway'].pid}/environ").read_bytes().split(b"\0")
    assert b"SWITCHYARD_LISTEN=127.0.0.2" in environ
    again = local.command("up", "overlay", "--detach", "--listen", "127.0.0.3")
    assert (again.returncode, "and does not listen on 127.0.0.3" in again.stderr) == (1, True)
    assert local.command("down").stdout == "stopped\n"


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


def test_logs_are_those_of_the_last_run_and_all_has_the_others(local: Local) -> None:
    local.up(Stub(name="chat"))
    httpx.post(local.url("chat") + "/echo", json={}, trust_env=False)
    local.stop(signal.SIGTERM)
    local.up(Stub(name="chat"), Stub(name="other"))
    for name in ("chat", "other"):  # nobody has asked it in this run
        silent = local.command("logs", name)
        assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "nothing was written yet\n")
    assert '"phase": "load"' in local.command("logs", "chat", "--all").stdout
    assert local.command("logs").stdout == local.command("logs", "gateway").stdout


def test_a_request_is_found_in_the_logs_by_the_id_of_its_response(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_REQUESTS", "true")
    run = local.up(Stub(name="chat", env={"STUB_LOAD_SECONDS": "0.3"}), real_gateway=True)
    body = {"model": "chat", "messages": [{"role": "user", "content": "a secret"}]}
    response = httpx.post(f"{run.gateway}/v1/chat/completions", json=body, trust_env=False, timeout=30)
    assert response.status_code == 200
    identifier = response.headers["x-request-id"]
    told = local.command("logs", "--request", identifier)
    lines = {(line["service"], line["message"]): line for line in map(json.loads, told.stdout.splitlines())}
    assert sorted(lines) == [("gateway", "responded"), ("local", "a request waited"), ("local", "responded")]
    assert len(told.stdout.splitlines()) == 3
    waited, behind, responded = (
        lines[of] for of in (("local", "a request waited"), ("local", "responded"), ("gateway", "responded"))
    )
    assert {line["model"] for line in lines.values()} == {"chat"}
    assert {line["request_id"] for line in lines.values()} == {identifier}
    assert 0.3 < waited["seconds"] < responded["seconds"]
    assert waited["seconds"] < behind["seconds"]
    assert (responded["status"], responded["route"]) == (200, "/v1/chat/completions")
    assert behind["status"] == 200
    assert "secret" not in told.stdout
    nothing = local.command("logs", "--request", "no-such-id")
    assert nothing.returncode == 1
    assert "no line of the logs has the request id no-such-id" in nothing.stderr
    assert "logs --all --request no-such-id`" in nothing.stderr


def test_what_a_detached_supervisor_prints_is_in_the_log_of_its_own_run(local: Local) -> None:
    write(local.root, [], local.port)
    for _ in range(2):
        assert local.command("up", "overlay", "-d").returncode == 0
        run = local.directory.running()
        assert run is not None
        outputs = [os.readlink(f"/proc/{run.supervisor.pid}/fd/{number}") for number in (1, 2)]
        assert outputs == [str(local.directory.log("supervisor"))] * 2
        assert local.command("down").returncode == 0


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
        assert f"port {local.port}, which Deployment gateway needs, is taken by process {other.pid} (" in answer.stderr
        assert "-m http.server" in answer.stderr
        assert "up --port" in answer.stderr
    finally:
        other.kill()
        other.wait()
