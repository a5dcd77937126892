"""One Triton and one predictor in front of it for the tests of this folder; a failing test prints their logs."""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http

from tests.live.vision.processes import Triton, Vision, write_models


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
