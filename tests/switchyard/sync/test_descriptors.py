"""The program when it may open no more files, as when somebody holds many connections to its port."""

import resource
import select
import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.ports import free_port
from tests.switchyard.sync.program import Program


def responds(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_out_of_descriptors_it_logs_little_and_serves_again_once_there_are_some(tmp_path: Path) -> None:
    port = free_port()
    with Program(tmp_path, "--http_port", str(port)) as sync, ExitStack() as held:
        sync.wait(lambda: responds(port))
        before = sync.log.read_text().count("\n")
        most = psutil.Process(sync.pid).num_fds() + 5
        resource.prlimit(sync.pid, resource.RLIMIT_NOFILE, (most, most))
        connections = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(30)]

        sync.wait(lambda: select.select(connections, [], [], 0)[0])  # it closes those that it has no room for
        assert sync.log.read_text().count("\n") - before < 10

        held.close()
        sync.wait(lambda: responds(port))
