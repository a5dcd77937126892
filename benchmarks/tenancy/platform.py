"""The processes of these benchmarks: a model, gateways before it, and the store that they share."""

import json
import shutil
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.processes import Command, Tree, free_port, wait_for
from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.tenants.keys import create_key, digest

STORES = ("sqlite", "redis")
_START_SECONDS = 120.0


class Process:
    """A program that listens on a port, and is started again there after it was killed."""

    def __init__(self, argv: Sequence[str], log: Path, port: int, env: dict[str, str] | None = None) -> None:
        self._argv, self._log, self._env = argv, log, env
        self._starts = 0
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tree(self) -> Tree:
        return self._command.tree

    def start(self) -> None:
        """Start it, each time with a log of its own."""
        self._starts += 1
        self._command = Command(self._argv, self._log.with_suffix(f".{self._starts}.log"), self._env)

    def wait(self) -> None:
        """Wait until it listens.

        Raises:
            RuntimeError: it ended.
        """
        wait_for(self._listens, f"port {self.port} of {self._log.stem}", _START_SECONDS)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._command.kill()

    def stop(self) -> None:
        self._command.stop()

    def _listens(self) -> bool:
        if self._command.ended:
            raise RuntimeError(f"{self._log.stem} ended; its log:\n{self._command.log.read_text()[-3000:]}")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class Starter:
    """Starts processes with logs in ``folder``, each of which ``stack`` stops; those named in ``core`` stay on it."""

    def __init__(self, stack: ExitStack, folder: Path, core: dict[str, int] | None = None) -> None:
        self.folder = folder
        self._stack = stack
        self._core = core or {}

    def model(self, *names: str) -> Process:
        """Start a model, and write the catalog in which it has ``names``."""
        port = free_port()
        started = self._start("model", (sys.executable, "-m", "benchmarks.tenancy.model", str(port)), port)
        models = {name: Model(name=name, kind="llm", url=started.url, state=State(phase="ready")) for name in names}
        CatalogFile(self.folder / "catalog.json").replace(Catalog(models))
        return started

    def redis(self, fsync: str) -> Process:
        """Start a Redis that writes its file before it responds, and to the disk each time (``always``) or second."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not on PATH: `make setup` installs it")
        port = free_port()
        kept = ("--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--dir", str(self.folder))
        return self._start("redis", (program, "--port", str(port), "--bind", "127.0.0.1", *kept), port)

    def collector(self) -> Process:
        """Start what takes spans."""
        port = free_port()
        argv = (sys.executable, "-m", "benchmarks.telemetry.collector", str(port))
        return self._start("collector", argv, port)

    def gateway(
        self,
        name: str,
        *,
        tenants: Path | None = None,
        store: str = "",
        module: str = "switchyard.gateway",
        env: dict[str, str] | None = None,
    ) -> Process:
        """Start a gateway with the catalog of the model; ``env`` is added to its environment."""
        port = free_port()
        argv = (sys.executable, "-m", module, "--host=127.0.0.1", f"--http_port={port}", "--grpc_port=0")
        own = {"SWITCHYARD_CATALOG": str(self.folder / "catalog.json"), "LOG_LEVEL": "warning"}
        own |= {"SWITCHYARD_STORE": store, "SWITCHYARD_TENANTS": str(tenants) if tenants else ""}
        return self._start(name, argv, port, own | (env or {}))

    def _start(self, name: str, argv: Sequence[str], port: int, env: dict[str, str] | None = None) -> Process:
        kind = name.partition("-")[0]
        pinned = ("taskset", "-c", str(self._core[kind])) if kind in self._core else ()
        started = Process((*pinned, *argv), self.folder / name, port, env)
        self._stack.callback(started.stop)
        return started


def store_url(
    kind: str, starter: Starter, *, name: str = "store", fsync: str = "everysec"
) -> tuple[str, Process | None]:
    """Return the URL of a store of one of ``STORES``, and its process; by default as the component redis has it."""
    if kind == "sqlite":
        return f"sqlite://{starter.folder}/{name}.db", None
    started = starter.redis(fsync)
    started.wait()
    return f"redis://127.0.0.1:{started.port}/0", started


def tenant(name: str, limits: Iterable[dict[str, Any]] = (), roles: Sequence[str] = ("use",)) -> tuple[str, Any]:
    """Return a key, and a tenant with that key and ``limits``."""
    key = create_key()
    keys = [{"id": name, "sha256": digest(key.encode()).hex(), "roles": roles}]
    return key, {"name": name, "limits": list(limits), "keys": keys}


def write_tenants(path: Path, tenants: Sequence[Any]) -> None:
    """Write the file of tenants, with prices, in one step."""
    prices = [{"models": ["*"], "input": 0.5, "output": 1.5}]
    made = path.with_suffix(".made")
    made.write_text(json.dumps({"tenants": tenants, "prices": prices}))
    made.rename(path)
