"""Broken protobuf, gRPC and HTTP/2 against a gateway and a predictor: each call ends clearly, and nothing is left."""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from benchmarks.processes import ROOT, Command, free_port
from switchyard.catalog import Catalog, CatalogFile, State
from switchyard.catalog import Model as Listed
from tests.grpc_api.calls import Model, changed, odd, valid
from tests.grpc_api.client import ask, problems

PREDICTOR = ROOT / "tests" / "testdata" / "serving_predictor.py"
MODEL = Model(name="stub", tensor="x", datatype="FP32", shape=[4], raw=bytes(16), repository=True)
CHANGED = 300
MOST_MB = 32.0  # that a process may grow by: messages of some calls, and gaps in the heap


@dataclass(frozen=True, slots=True)
class Asked:
    """A process that is asked at ``port``."""

    port: int
    command: Command


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Asked]]:
    folder, http, gateway = tmp_path_factory.mktemp("grpc_api"), free_port(), free_port()
    predictor = Command([sys.executable, str(PREDICTOR), str(http), "0"], folder / "predictor.log")
    listed = Listed(
        name="stub", kind="llm", url=f"http://127.0.0.1:{http}", grpc=f"127.0.0.1:{http}", state=State(phase="ready")
    )
    CatalogFile(folder / "catalog.json").replace(Catalog({"stub": listed}))
    argv = [sys.executable, "-m", "switchyard.gateway", "--http_port", str(gateway), "--grpc_port", "0"]
    front = Command(argv, folder / "gateway.log", {"SWITCHYARD_CATALOG": str(folder / "catalog.json")})
    try:
        predictor.wait_for(f"http://127.0.0.1:{http}/")
        front.wait_for(f"http://127.0.0.1:{gateway}/readyz")
        yield {"predictor": Asked(http, predictor), "gateway": Asked(gateway, front)}
    finally:
        front.stop()
        predictor.stop()


@pytest.mark.parametrize("name", ["predictor", "gateway"])
def test_calls_that_break_the_rules_end_with_a_clear_status_and_leave_nothing(
    processes: dict[str, Asked], name: str
) -> None:
    asked = processes[name]
    assert (
        problems(ask(asked.port, [*valid(MODEL), *odd(MODEL)])) == []
    )  # which fills pools and buffers for the largest
    before = [one.command.tree.pss_mb() for one in processes.values()]
    assert problems(ask(asked.port, odd(MODEL))) == []
    assert problems(ask(asked.port, changed(random.Random(14), MODEL, CHANGED))) == []
    after = [one.command.tree.pss_mb() for one in processes.values()]
    assert all(now - then < MOST_MB for then, now in zip(before, after, strict=True)), (before, after)
    for one in processes.values():
        assert "Traceback" not in one.command.log.read_text()


def test_no_call_is_in_flight_any_more(processes: dict[str, Asked]) -> None:
    text = httpx.get(f"http://127.0.0.1:{processes['gateway'].port}/metrics", trust_env=False).text
    assert "gateway_requests_in_flight 0.0" in text.splitlines()
