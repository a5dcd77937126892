"""Every process of ours that listens, as it is started in production, or as near to that as a test comes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from switchyard.catalog import Catalog, CatalogFile
from tests.ports import free_port
from tests.predictors.complexity.conftest import Predictor
from tests.switchyard.local.conftest import Local
from tests.switchyard.local.overlays import Stub
from tests.switchyard.router.running import node

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "testdata"
DEADLINE = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """Where one listens: a page that is 200, and a request with a body that gets ``status`` if all of the body came.

    ``reads`` says whether anybody looks at the body, ``own_paths`` whether there is a table of paths; others serve or
    forward any.
    """

    port: int
    page: bytes
    path: bytes
    body: bytes
    status: int
    reads: bool = True
    own_paths: bool = True


@contextmanager
def run(argv: list[str], folder: Path, url: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a program until the block ends; it answers at ``url`` when the block begins."""
    log = folder / "log"
    with log.open("wb") as out:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=ROOT, env=environment)
    try:
        end = time.monotonic() + DEADLINE
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE)
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@contextmanager
def gateway(folder: Path) -> Iterator[dict[str, Process]]:
    http, grpc = free_port(), free_port()
    CatalogFile(folder / "catalog.json").replace(Catalog({}))
    argv = [sys.executable, "-m", "switchyard.gateway", "--http_port", str(http), "--grpc_port", str(grpc)]
    env = {"SWITCHYARD_CATALOG": str(folder / "catalog.json"), "DRAIN_SECONDS": "0"}
    page, path = b"/v1/models", b"/v1/chat/completions"
    body = b'{"model": "nobody", "messages": []}'  # 400 would say that no body came
    with run(argv, folder, f"http://127.0.0.1:{http}/readyz", env):
        yield {
            "gateway": Process(port=http, page=page, path=path, body=body, status=404),
            "gateway, its port for gRPC": Process(port=grpc, page=page, path=path, body=body, status=404),
        }


@contextmanager
def local_mode(folder: Path) -> Iterator[dict[str, Process]]:
    """An activator before a model and the supervisor's own port, of one run."""
    local = Local(folder)
    try:
        run = local.up(Stub(name="chat", min_replicas=1))
        end = time.monotonic() + DEADLINE
        while local.phase("chat") != "ready":
            assert time.monotonic() < end, local.logs()
            time.sleep(0.02)
        control = int(run.control.rpartition(":")[2])
        activator = int(local.url("chat").rpartition(":")[2])
        page = b"/status"
        yield {
            "activator": Process(
                port=activator, page=b"/readyz", path=b"/echo", body=b'{"a": 1}', status=200, own_paths=False
            ),
            "control": Process(port=control, page=page, path=page, body=b"whatever", status=200, reads=False),
        }
    finally:
        local.close()


@contextmanager
def complexity(folder: Path) -> Iterator[dict[str, Process]]:
    predictor = Predictor(folder)
    try:
        predictor.wait_ready()
        chat = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        yield {"complexity": Process(port=predictor.port, page=b"/", path=b"/", body=chat, status=200)}
    finally:
        predictor.stop()


@contextmanager
def router(folder: Path) -> Iterator[dict[str, Process]]:
    step, port = free_port(), free_port()
    url = f"http://127.0.0.1:{step}/"
    spec = {"nodes": {"root": node("Sequence", {"name": "length", "serviceUrl": url})}}
    argv = [sys.executable, "-m", "switchyard.router", "--graph-json", json.dumps(spec)]
    env = {"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": "0", "DRAIN_SECONDS": "0"}
    own = folder / "router"
    own.mkdir()
    with ExitStack() as stack:
        stack.enter_context(run([sys.executable, "-m", "tests.one_server.small_server", str(step)], folder, url))
        stack.enter_context(run(argv, own, f"http://127.0.0.1:{port}/readyz", env))
        yield {"router": Process(port=port, page=b"/readyz", path=b"/", body=b'{"a": 1}', status=200, own_paths=False)}


@contextmanager
def predictor(folder: Path) -> Iterator[dict[str, Process]]:
    http, grpc = free_port(), free_port()
    argv = [sys.executable, str(DATA / "serving_predictor.py"), str(http), str(grpc)]
    path, body = b"/openai/v1/length", b'{"a": 1}'
    with run(argv, folder, f"http://127.0.0.1:{http}/"):
        yield {
            "predictor": Process(port=http, page=b"/", path=path, body=body, status=200),
            "predictor, its port for gRPC": Process(port=grpc, page=b"/", path=path, body=body, status=200),
        }


STARTED_BY: dict[str, Callable[[Path], object]] = {
    "gateway": gateway,
    "gateway, its port for gRPC": gateway,
    "activator": local_mode,
    "control": local_mode,
    "complexity": complexity,
    "router": router,
    "predictor": predictor,
    "predictor, its port for gRPC": predictor,
}
