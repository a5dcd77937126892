"""One request is one trace: gateway, predictor and engine, as a collector sees them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from switchyard.catalog import Catalog, CatalogFile, Model, State
from tests.live.collector import PARENT, Collector, collecting
from tests.live.processes import ROOT, Predictor, Preload, eventually, fetch
from tests.ports import free_port

pytestmark = pytest.mark.live


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


@pytest.fixture
def predictor(preload: Preload, collector: Collector) -> Iterator[Predictor]:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    started = Predictor(preload, "chat-fast", **env)
    yield started.wait_ready()
    started.stop()


@pytest.fixture
def gateway(predictor: Predictor, collector: Collector, tmp_path: Path) -> Iterator[str]:
    model = Model(name=predictor.name, kind="llm", url=predictor.url, state=State(phase="ready"))
    CatalogFile(tmp_path / "catalog.json").replace(Catalog({model.name: model}))
    port = free_port()
    env = dict(
        os.environ,
        SWITCHYARD_CATALOG=str(tmp_path / "catalog.json"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        TRUST_TRACEPARENT="true",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    command = [sys.executable, "-m", "switchyard.gateway", f"--http_port={port}", f"--grpc_port={free_port()}"]
    process = subprocess.Popen(command, env=env, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(url), "the gateway")
    yield url
    process.terminate()
    process.wait()


def _answers(url: str) -> bool:
    try:
        return fetch(f"{url}/healthz")[0] == 200
    except OSError:
        return False


def test_gateway_predictor_and_engine_join_the_callers_trace(gateway: str, collector: Collector) -> None:
    body = {"model": "chat-fast", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    status, answer = fetch(f"{gateway}/v1/chat/completions", body, traceparent=PARENT)
    assert status == 200, answer

    def chain() -> list[Span]:
        found = [collector.of_caller(name) for name in ("POST /v1/chat/completions", "chat chat-fast", "llm_request")]
        return [spans[0] for spans in found] if all(found) else []

    door, predictor, engine = eventually(chain, "a span of each")
    assert door.parent_span_id.hex() == PARENT.split("-")[2]
    assert predictor.parent_span_id == door.span_id
    assert engine.parent_span_id == predictor.span_id
