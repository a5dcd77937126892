"""One Triton and one predictor in front of it for the tests of this folder; a failing test prints their logs."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http

from switchyard.catalog import Catalog, CatalogFile, Model, State
from tests.live.processes import ROOT, eventually, fetch
from tests.live.vision.processes import Triton, Vision, write_models
from tests.ports import free_port


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vision")


@pytest.fixture(scope="package")
def triton(folder: Path) -> Iterator[Triton]:
    repository = folder / "models"
    repository.mkdir()
    write_models(repository)
    started = Triton(repository, folder)
    yield started
    started.stop()


@pytest.fixture(scope="package")
def vision(triton: Triton, folder: Path) -> Iterator[Vision]:
    started = Vision(triton, folder, MAX_CONCURRENT_REQUESTS="4", MAX_BODY_BYTES=str(16 * 1024 * 1024))
    yield started.wait_ready()
    started.stop()


@pytest.fixture(scope="package")
def gateway(vision: Vision, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a gateway in front of the predictor."""
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    listed = {
        name: Model(
            name=name, kind="vision", url=vision.url, grpc=f"127.0.0.1:{vision.http}", state=State(phase="ready")
        )
        for name in ("echo", "any-size", "stream", "image-decode", "ocr")
    }
    CatalogFile(folder / "catalog.json").replace(Catalog(listed))
    command = [sys.executable, "-m", "switchyard.gateway", "--http_port", str(port), "--grpc_port", str(free_port())]
    environment = {**os.environ, "SWITCHYARD_CATALOG": str(folder / "catalog.json")}
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT)
    eventually(lambda: answers(port), "the gateway")
    yield port
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    try:
        return fetch(f"http://127.0.0.1:{port}/readyz")[0] == 200
    except OSError:
        return False


@pytest.fixture(params=["http", "grpc", "grpc at the port of http"])
def client(request: pytest.FixtureRequest, vision: Vision) -> Iterator[Any]:
    """One of Triton's two clients, and the module it is from."""
    module = tritonclient.http if request.param == "http" else tritonclient.grpc
    port = vision.grpc if request.param == "grpc" else vision.http
    with closing(module.InferenceServerClient(f"127.0.0.1:{port}")) as made:
        yield made, module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        used = list(getattr(item, "funcargs", {}).values())
        logs = {one.log for one in used if isinstance(one, (Triton, Vision))}
        report.sections += [(f"log {log.name}", log.read_text()[-6000:]) for log in sorted(logs)]
    return report
