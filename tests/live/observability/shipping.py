"""A real collector with the cluster's configuration of logs, and a real store behind it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.live.processes import ROOT, eventually
from tests.ports import free_port

PROGRAMS = ROOT / "build/observability/bin"  # of `make observability`
CONFIGURATION = ROOT / "kustomize/components/monitoring/collector/logs.yaml"
_HOST = "127.0.0.1"


class Store:
    """VictoriaLogs, and the collector that sends it what is in the files of a pattern; ``name`` is for its logs."""

    name = "the store of logs"

    def __init__(self, folder: Path, files: str) -> None:
        self._folder = folder
        self._address = f"{_HOST}:{free_port()}"
        port = free_port()
        self.metrics = f"{_HOST}:{port}"  # of the collector
        env = {
            "COLLECTOR_HEALTH": f"{_HOST}:{free_port()}",
            "COLLECTOR_STATE": str(folder / "state"),
            "COLLECTOR_OTLP_GRPC": f"{_HOST}:{free_port()}",
            "COLLECTOR_OTLP_HTTP": f"{_HOST}:{free_port()}",
            "COLLECTOR_LOGS": files,
            "COLLECTOR_LOGS_NOT": str(folder / "collector.log"),
            "COLLECTOR_LOGS_STORE": f"http://{self._address}/insert/opentelemetry",
            "COLLECTOR_METRICS_HOST": _HOST,
            "COLLECTOR_METRICS_PORT": str(port),
        }
        store = (f"-storageDataPath={folder / 'data'}", f"-httpListenAddr={self._address}", "-retentionPeriod=100y")
        self._processes = [
            self._start("victoria-logs", *store),
            self._start("otelcol", f"--config=file:{CONFIGURATION}", **env),
        ]

    def _start(self, program: str, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.log").open("wb") as log:
            command = [str(PROGRAMS / program), *arguments]
            return subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The lines that a query of LogsQL finds, in the order of their time."""
        form = urlencode({"query": f"{query} | sort by (_time)", "limit": 100_000})
        try:
            with urlopen(f"http://{self._address}/select/logsql/query?{form}") as response:
                return [json.loads(line) for line in response]
        except OSError:  # it has not started
            return []

    def tail(self) -> str:
        """What both programs said."""
        return "\n".join(path.read_text()[-3000:] for path in sorted(self._folder.glob("*.log")))

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)


@contextmanager
def shipped(folder: Path, files: str) -> Iterator[Store]:
    """A store of what the files of a pattern hold, and will hold."""
    folder.mkdir()
    store = Store(folder, files)
    try:
        yield store
    finally:
        store.close()


def found(store: Store, query: str, services: set[str]) -> list[dict[str, Any]]:
    """The lines that a query finds, once they are of all these services."""

    def complete() -> list[dict[str, Any]]:
        rows = store.rows(query)
        return rows if services <= {row.get("service.name") for row in rows} else []

    return list(eventually(complete, f"{query} of {services}, only {store.rows(query)}\n{store.tail()}"))
