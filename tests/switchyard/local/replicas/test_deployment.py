"""A Deployment whose port another program has: one that nobody knows by its port takes a free one."""

import asyncio
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogFile
from switchyard.http.client import Client
from switchyard.local.plan.workloads import Command, Deployment
from switchyard.local.processes.launch import SpawnLauncher
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.start import Starter
from switchyard.local.replicas.deployment import DeploymentRunner
from switchyard.local.status.board import StatusBoard
from switchyard.telemetry.metrics.local import LocalMetrics

SERVER = (
    "import http.server, sys; "
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1].removeprefix('--port='))), "
    "http.server.SimpleHTTPRequestHandler).serve_forever()"
)


@pytest.mark.parametrize(("fixed_ports", "state"), [(False, "ready"), (True, "failed")])
async def test_a_port_that_is_taken(tmp_path: Path, fixed_ports: bool, state: str) -> None:
    client = Client()
    metrics = LocalMetrics(CollectorRegistry())
    file = CatalogFile(tmp_path / "catalog.json")
    board = StatusBoard(served={}, names=("server",), file=file, metrics=metrics, root=tmp_path)
    log = tmp_path / "server.log"
    log.touch()
    starter = Starter(
        launcher=SpawnLauncher(),
        client=client,
        mounts=Mounts(()),
        logs=lambda name: log,
        run_id="run",
        base={},
        hosts={},
    )
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = Command(
            name="server",
            argv=(sys.executable, "-c", SERVER, f"--port={port}"),
            env={},
            cwd=tmp_path,
            readiness="/",
            http_port=port,
            grpc=False,
            ports=frozenset((port,)),
            grace=5.0,
        )
        deployment = Deployment(name="server", command=command, gateway=False, fixed_ports=fixed_ports)
        runner = DeploymentRunner(deployment, starter=starter, board=board, log=log, grace=5.0)
        running = asyncio.create_task(runner.run())
        try:
            async with asyncio.timeout(60):
                while board.entries["server"].state != state:
                    assert not running.done()
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await client.aclose()
