"""The processes of ours that listen, each on ports of its own."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import platform
from benchmarks.floods.paths import Paths
from benchmarks.processes import ROOT, Command, free_port
from benchmarks.proxies.gateway import chat, pinned
from switchyard.catalog import Catalog, CatalogFile, Model, State

_STREAM = chat("m50x100000", stream=True)
_COMPLEXITY = ROOT / "model-repository" / "complexity"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A process and what can be asked of it at ``port``."""

    name: str
    pid: int
    port: int
    paths: Paths


@contextmanager
def running(folder: Path, names: tuple[str, ...]) -> Iterator[list[Target]]:
    """Those of ``names`` (all when empty), started; each is on the second processor, floods are on the first."""
    with ExitStack() as stack:
        targets: list[Target] = []
        upstream = _command(stack, folder, "upstream", 0, "benchmarks.upstream", port := free_port())
        upstream.wait_for(f"http://127.0.0.1:{port}/stats")
        for name, start in _STARTS.items():
            if not names or any(wanted in name for wanted in names):
                targets += start(stack, folder, f"http://127.0.0.1:{port}")
        yield targets


def _command(stack: ExitStack, folder: Path, name: str, core: int, module: str, *argv: object, **env: str) -> Command:
    command = Command(
        pinned(core, sys.executable, "-m", module, *map(str, argv)),
        folder / f"{name}.log",
        {"HOST": "127.0.0.1", "LOG_LEVEL": "warning", "DRAIN_SECONDS": "0", **env},
    )
    stack.callback(command.stop)
    return command


def _gateway(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    port = free_port()
    models = {
        name: Model(name=name, kind="llm", url=upstream, state=State(phase="ready")) for name in ("m", "m50x100000")
    }
    CatalogFile(folder / "catalog.json").replace(Catalog(models))
    argv = ("--host=127.0.0.1", f"--http_port={port}", f"--grpc_port={free_port()}")
    catalog = {"SWITCHYARD_CATALOG": str(folder / "catalog.json")}
    gateway = _command(stack, folder, "gateway", 1, "switchyard.gateway", *argv, **catalog)
    gateway.wait_for(f"http://127.0.0.1:{port}/readyz")
    paths = Paths(page=b"/v1/models", upload=b"/v1/chat/completions", stream=_STREAM)
    return [Target(name="gateway", pid=gateway.tree.pid, port=port, paths=paths)]


def _router(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    port, pages = free_port(), free_port()
    steps = [{"name": "chat", "serviceUrl": f"{upstream}/v1/chat/completions"}]
    graph = json.dumps({"nodes": {"root": {"routerType": "Sequence", "steps": steps}}})
    ports = {"PORT": str(port), "METRICS_PORT": str(pages)}
    router = _command(stack, folder, "router", 1, "switchyard.router", "--graph-json", graph, **ports)
    router.wait_for(f"http://127.0.0.1:{port}/readyz")
    paths = Paths(page=b"/readyz", upload=b"/", stream=_STREAM)
    return [Target(name="router", pid=router.tree.pid, port=port, paths=paths)]


def _complexity(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    port = free_port()
    argv = ("--model_name=complexity", f"--model_dir={_COMPLEXITY}", f"--http_port={port}", "--fast=a", "--reasoning=b")
    store = f"sqlite://{folder}/store.db"
    predictor = _command(stack, folder, "complexity", 1, "predictors.complexity", *argv, STORE_URL=store)
    predictor.wait_for(f"http://127.0.0.1:{port}/v2/models/complexity/ready")
    paths = Paths(page=b"/v2/models/complexity/ready", upload=b"/")
    return [Target(name="complexity", pid=predictor.tree.pid, port=port, paths=paths)]


def _local(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    """The activator of a model that sleeps, and stays asleep: what is asked wakes none; and the control port."""
    local = stack.enter_context(platform.running(preload=False))
    process = psutil.Process(local.supervisor.pid)
    process.cpu_affinity([1])
    ports = {one.laddr.port for one in process.connections() if one.status == psutil.CONN_LISTEN}
    control = int(local.control.rpartition(":")[2])
    activator = Paths(page=b"/v2/health/live", upload=b"/v1/chat/completions")
    pages = Paths(page=b"/status", upload=b"/status")
    return [
        Target(name="activator", pid=process.pid, port=min(ports - {control}), paths=activator),
        Target(name="control port", pid=process.pid, port=control, paths=pages),
    ]


_STARTS = {"gateway": _gateway, "router": _router, "complexity": _complexity, "activator, control port": _local}
