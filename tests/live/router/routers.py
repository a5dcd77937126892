"""Both routers as processes, a pair for each graph."""

import http.client
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.live.processes import ROOT, eventually
from tests.live.router.contract import Asked
from tests.ports import free_port


@dataclass(frozen=True, slots=True)
class Given:
    """What a client got."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Router:
    """A running router."""

    port: int

    def ask(self, asked: Asked, case: str) -> Given:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(asked.method, asked.target, asked.body, {**asked.headers, "x-case": case})
            answer = connection.getresponse()
            return Given(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        finally:
            connection.close()

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Ours:
    """Starts our router; see ``forks``."""

    def __init__(self) -> None:
        self._forks = subprocess.Popen(
            (sys.executable, "-m", "tests.live.router.forks"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._forks.communicate()

    def start(self, graph: dict[str, Any], patterns: str) -> tuple[Router, int]:
        port = free_port()
        env = {
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "METRICS_PORT": "0",
            "PROPAGATE_HEADERS": patterns,
            "LOG_LEVEL": "error",
        }
        pid = self._tell({"argv": ["--graph-json", json.dumps(graph)], "env": env})
        return Router(port), int(pid)

    def end(self, pid: int) -> None:
        self._tell(pid)

    def _tell(self, what: object) -> str:
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(json.dumps(what) + "\n")
        self._forks.stdin.flush()
        return self._forks.stdout.readline()


class Pair:
    """KServe's router and ours with the same graph."""

    def __init__(self, program: Path, forks: Ours, graph: dict[str, Any], patterns: str) -> None:
        port = free_port()
        env = {**os.environ, "ROUTER_ADDRESS": f"127.0.0.1:{port}", "PROPAGATE_HEADERS": patterns}
        self._kserve = subprocess.Popen(
            (program, "--graph-json", json.dumps(graph)),
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._forks = forks
        self._pid = 0
        self.kserve = Router(port)
        try:
            # One after the other: a port that was free is not so for two.
            eventually(self.kserve.is_ready, "KServe's router is ready")
            assert self._kserve.poll() is None, "KServe's router ended, and something else has its port"
            self.ours, self._pid = forks.start(graph, patterns)
            eventually(self.ours.is_ready, "our router is ready")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Pair":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._kserve.kill()
        self._kserve.wait()
        if self._pid:
            self._forks.end(self._pid)
