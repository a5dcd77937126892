"""Models that are dropped into the claim and into a bucket are judged, published and served, with no restart."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.client import WAKING_SECONDS, Cluster
from tests.live.processes import eventually
from tests.switchyard.repository import onnx_models
from tests.switchyard.repository.sources.s3_server import S3Server, s3_server
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import NODE_ADDRESS, REPOSITORY
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

CLAIM = REPOSITORY / "model-repository"
SECONDS = 60
VISION = "serving.kserve.io/inferenceservice=vision"


@contextmanager
def dropped(make: Callable[[Path], object], place: str) -> Iterator[Path]:
    """A folder in the claim, put there in one rename and removed at the end."""
    target = CLAIM / place
    staged = target.with_name(f".{target.name}")
    make(staged)
    staged.rename(target)
    try:
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=True)


def relu(cluster: Cluster, model: str) -> list[float]:
    """Ask a model for max(x, 0)."""
    asked = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [-1, 2, -3, 4]}]}
    with cluster.client() as client:
        answer = client.post(f"/v2/models/{model}/infer", json=asked).raise_for_status()
    data: list[float] = answer.json()["outputs"][0]["data"]
    return data


def row(cluster: Cluster, model: str) -> dict[str, Any]:
    """What the gateway says of a model; empty while it knows none."""
    with cluster.client() as client:
        answer = client.get(f"/v1/models/{model}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def served(cluster: Cluster, model: str) -> bool:
    return row(cluster, model).get("state") in ("asleep", "waking", "ready")


def sync(*arguments: str) -> None:
    """Change the sync's Deployment, and wait until its new pod follows."""
    kubectl.kubectl("--namespace", NAMESPACE, *arguments)
    kubectl.rolled_out(NAMESPACE, "repository-sync")


@pytest.fixture
def awake(cluster: Cluster) -> set[str]:
    """The pods of vision, which is awake."""
    with dropped(onnx_models.relu, "vision/waker"):
        eventually(lambda: served(cluster, "waker"), "a first model is served", SECONDS)
        assert relu(cluster, "waker") == [0, 2, 0, 4]
        return {pod["metadata"]["name"] for pod in cluster.pods(VISION)}


def test_a_folder_in_the_claim_is_served_with_no_restart(cluster: Cluster, awake: set[str]) -> None:
    with dropped(onnx_models.relu, "vision/dropped"):
        eventually(lambda: served(cluster, "dropped"), "it is served", SECONDS)
        assert relu(cluster, "dropped") == [0, 2, 0, 4]
        assert awake & {pod["metadata"]["name"] for pod in cluster.pods(VISION)}
    eventually(lambda: not row(cluster, "dropped"), "it is gone", SECONDS)


def test_a_broken_folder_gives_its_sentence(cluster: Cluster) -> None:
    def broken(folder: Path) -> None:
        onnx_models.relu(folder)
        (folder / "1/model.onnx").write_bytes(b"no model")

    with dropped(broken, "vision/broken"):
        eventually(lambda: row(cluster, "broken").get("state") == "failed", "it has failed", SECONDS)
        assert "1/model.onnx" in json.dumps(row(cluster, "broken"))


def test_a_model_in_a_bucket_is_served_with_no_restart(cluster: Cluster, awake: set[str], tmp_path: Path) -> None:
    with s3_server(tmp_path, NODE_ADDRESS) as server, following(server):
        folder = onnx_models.relu(tmp_path / "made")
        for path in (one for one in sorted(folder.rglob("*")) if one.is_file()):
            server.client().upload_file(str(path), "models", f"vision/bucketed/{path.relative_to(folder)}")
        eventually(lambda: served(cluster, "bucketed"), "it is served", SECONDS)
        assert relu(cluster, "bucketed") == [0, 2, 0, 4]
        # Vision may have slept while the sync was replaced; what it is made of has not changed.
        names = {pod["metadata"]["name"] for pod in cluster.pods(VISION)}
        assert len({name.partition("-deployment-")[0] for name in awake | names}) == 1
    eventually(lambda: not row(cluster, "bucketed"), "it is gone with its source", SECONDS)


@contextmanager
def following(server: S3Server) -> Iterator[None]:
    """The sync follows a bucket, as docs/how-to/serve-from-s3.md says."""
    server.client().create_bucket(Bucket="models")
    literals = [f"--from-literal={name}={value}" for name, value in server.environment.items()]
    kubectl.kubectl("--namespace", NAMESPACE, "create", "secret", "generic", "model-sources", *literals)
    source = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--source=s3://models"}
    try:
        sync("patch", "deployment", "repository-sync", "--type=json", f"--patch={json.dumps([source])}")
        yield
    finally:
        kubectl.kubectl("--namespace", NAMESPACE, "delete", "secret", "model-sources")
        sync("rollout", "undo", "deployment/repository-sync")


def test_a_language_model_gets_a_service_of_its_own_and_loses_it(cluster: Cluster) -> None:
    services = ("get", "inferenceservices", "--namespace", NAMESPACE, "--selector=switchyard.dev/derived-from")
    with dropped(lambda folder: shutil.copytree(CLAIM / "llm/chat-fast", folder), "llm/chat-dropped"):
        eventually(lambda: served(cluster, "chat-dropped"), "it is served", SECONDS)
        eventually(lambda: "chat-dropped" in kubectl.kubectl(*services), "it has a service", SECONDS)
        cluster.wait_condition("inferenceservice", "chat-dropped", WAKING_SECONDS)
        assert cluster.chat("chat-dropped").text
    eventually(lambda: "chat-dropped" not in kubectl.kubectl(*services), "it is gone", SECONDS)
