"""One of our predictors goes from one pod to several under load and back to its floor, without a failed request."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.cluster.client import Cluster
from tests.cluster.load import load
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import INGRESS_ADDRESS
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

NAME = "busy-complexity"  # no part of the overlay's names: the gateway and `auto` go on with their own
SECONDS = 120
MOST = 3
QUESTION = "Explain in three steps why the sum of two odd numbers is even. " * 40


@pytest.fixture
def ready_pods(cluster: Cluster) -> Iterator[Callable[[], int]]:
    """How many pods of a copy of the overlay's ``complexity`` are ready: one at the least, three at most."""
    document = kubectl.get("inferenceservice", "complexity", "--namespace", NAMESPACE)
    spec = json.loads(json.dumps(document["spec"]).replace("--model_name=complexity", f"--model_name={NAME}"))
    spec["predictor"] |= {"minReplicas": 1, "maxReplicas": MOST, "scaleTarget": 1}  # decisions take a millisecond
    metadata = {
        "name": NAME,
        "namespace": NAMESPACE,
        "annotations": document["metadata"]["annotations"],
        "labels": document["metadata"]["labels"],
    }
    kubectl.apply(
        [{"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata, "spec": spec}]
    )
    cluster.wait_condition("inferenceservice", NAME, SECONDS)

    def count() -> int:
        pods = cluster.pods(f"serving.kserve.io/inferenceservice={NAME}")
        conditions = [one for pod in pods for one in pod["status"].get("conditions", ())]
        return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    yield count
    kubectl.kubectl("delete", "inferenceservice", NAME, "--namespace", NAMESPACE)


def decide(client: httpx.Client) -> str:
    """One decision through the front of the networking layer: its status, or a rejection."""
    body = {"model": "auto", "messages": [{"role": "user", "content": QUESTION}]}
    answer = client.post("/", json=body, headers={"Host": f"{NAME}-predictor.{NAMESPACE}.example.com"})
    return "200" if answer.status_code == 200 and "chat-" in answer.text else f"{answer.status_code} {answer.text}"


def test_pods_come_with_the_load_and_go_with_it_without_a_failed_request(ready_pods: Callable[[], int]) -> None:
    url = f"http://{INGRESS_ADDRESS}"
    assert ready_pods() == 1
    with load(url, decide, clients=24) as heavy:
        eventually("two or more pods", lambda: ready_pods() >= 2, SECONDS, every=0.5)
        before = heavy.total()
        eventually("answers of several", lambda: heavy.total() >= before + 200, SECONDS)
    with load(url, decide, clients=1, pause=0.05) as light:
        eventually("one pod again", lambda: ready_pods() == 1, SECONDS, every=0.5)
        before = light.total()
        eventually("answers of the one left", lambda: light.total() >= before + 20, SECONDS)
    assert heavy.keys() == {"200"}, heavy
    assert light.keys() == {"200"}, light
