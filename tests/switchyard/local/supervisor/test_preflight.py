"""What is checked before anything starts: a gateway, and ports that are free."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options, Plan
from switchyard.local.processes import identities
from switchyard.local.supervisor.preflight import require_free_ports, require_gateway
from tests.switchyard.local.overlays import gateway

OVERLAY = Path("/project/overlay")


def planned(*deployments: dict[str, object]) -> Plan:
    return plan(list(deployments), Options(root=Path("/project"), state=Path("/project/.switchyard"), claims={}))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_an_overlay_without_a_gateway_is_told_what_was_looked_for_and_what_to_add() -> None:
    page = gateway(8000)
    page["metadata"] = {"name": "page"}
    with pytest.raises(LocalError) as told:
        require_gateway(planned(page), OVERLAY)
    for words in (
        str(OVERLAY),
        "(page)",
        "called gateway",
        "app.kubernetes.io/name: gateway",
        "manifests/platform/gateway",
    ):
        assert words in str(told.value)


def test_a_gateway_of_no_replicas_is_none() -> None:
    none = gateway(8000)
    none["spec"]["replicas"] = 0
    with pytest.raises(LocalError, match=r"Deployments with replicas \(none\)"):
        require_gateway(planned(none), OVERLAY)


def test_a_taken_port_is_told_with_its_owner_and_a_port_that_is_free(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(identities.RUN_VARIABLE, raising=False)
    with pytest.raises(LocalError) as told:
        require_free_ports(planned(gateway(taken)))
    words = str(told.value)
    assert f"port {taken}, which Deployment gateway needs, is taken by process {os.getpid()} (" in words
    assert Path(psutil.Process().cmdline()[0]).name in words
    free = int(words.rpartition("=")[2])
    assert f"up --port {free}`" in words
    socket.create_server(("127.0.0.1", free)).close()


def test_the_port_of_another_run_is_told_with_the_folder_of_that_run(tmp_path: Path) -> None:
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, identities.RUN_VARIABLE: "another"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(LocalError, match=rf"process {other.pid} \(.*\), of the switchyard in {tmp_path};"):
            require_free_ports(planned(gateway(port)))
        other.kill()


def test_the_port_of_another_deployment_is_changed_in_the_overlay(taken: int) -> None:
    page = gateway(taken)
    page["metadata"] = {"name": "page"}
    with pytest.raises(LocalError, match=r"which Deployment page needs.*change the port in the overlay"):
        require_free_ports(planned(page))
