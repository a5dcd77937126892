"""A model that is no repository has one version, over REST and gRPC: another is not ready and not found."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc
import yaml
from tritonclient.utils import InferenceServerException

from tests.ports import free_port

PREDICTOR = Path(__file__).parents[2] / "testdata" / "serving_predictor.py"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    at = f"127.0.0.1:{free_port()}"
    argv = [sys.executable, str(PREDICTOR), at.partition(":")[2], str(free_port())]
    with subprocess.Popen(argv, cwd=PREDICTOR.parents[2]) as process:
        try:
            deadline = time.monotonic() + 60
            while not _is_up(at):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield at
        finally:  # or leaving the block waits for it for ever
            process.terminate()


def _is_up(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/v2/models/stub/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(("version", "status"), [("1", 200), ("9", 404), ("x", 404)])
def test_over_rest(address: str, version: str, status: int) -> None:
    base = f"http://{address}/v2/models/stub/versions/{version}"
    ready = httpx.get(f"{base}/ready")
    assert ready.status_code == status
    if status == 404:
        assert f"no version '{version}'" in ready.json()["error"]
        assert httpx.get(base).status_code == 404
        assert httpx.post(f"{base}/infer", json={"inputs": []}).status_code == 404


@pytest.mark.parametrize("runtime", ["python", "vllm"])
def test_a_running_predictor_is_alive_where_its_pods_probe_asks(address: str, runtime: str) -> None:
    path = PREDICTOR.parents[2] / f"manifests/runtimes/{runtime}.yaml"
    (container,) = yaml.safe_load(path.read_text())["spec"]["containers"]
    assert httpx.get(f"http://{address}{container['livenessProbe']['httpGet']['path']}").status_code == 200


def test_over_grpc(address: str) -> None:
    with closing(tritonclient.grpc.InferenceServerClient(address)) as client:
        assert client.is_model_ready("stub")
        assert client.is_model_ready("stub", "1")
        assert not client.is_model_ready("stub", "9")
        for ask in (client.get_model_metadata, lambda name, version: client.infer(name, [], version)):
            with pytest.raises(InferenceServerException, match="no version '9'") as raised:
                ask("stub", "9")
            assert raised.value.status() == "StatusCode.NOT_FOUND"
