"""The node runs short of memory under load: the kubelet ends what takes too much, and nobody's request is lost.

What takes too much is made here and bounded; the kubelet is told to act long before the machine itself is short.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.client import READY_SECONDS, Cluster
from tests.cluster.load import more_answers
from tests.live.load import Load
from tools.cluster.kubernetes import kubectl, node
from tools.cluster.machine.layout import NODE
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

SPACE = "switchyard-test-pressure"
TAKEN = 4 << 30  # bytes: half of it is more than the node's use moves by itself within half a minute
SECONDS = 120
# How long the node is well before the kubelet says so (of five minutes), and how often it says anything (of 10 s).
PROMPT = {"evictionPressureTransitionPeriod": "15s", "nodeStatusUpdateFrequency": "2s"}
LITTLE = {"requests": {"memory": "1Mi"}, "limits": {"memory": "5Gi"}}
PREDICTOR = "serving.kserve.io/inferenceservice=chat-fast"
TAKE = f"import time; taken = b'x' * {TAKEN}; time.sleep({2 * SECONDS})"
# Begins a process of its own beside the predictor's and ends.
TAKE_BESIDE = """
import subprocess, sys
quiet = subprocess.DEVNULL
subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=quiet, stdout=quiet, stderr=quiet)
"""


def summary() -> kubectl.Document:
    """What the kubelet knows of the node's and its pods' use, which is what it evicts by."""
    read: kubectl.Document = json.loads(kubectl.kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/stats/summary"))
    return read


def taken(pod: str) -> bool:
    """Whether the kubelet has seen that a pod took what it was to take."""
    uses = {one["podRef"]["name"]: one.get("memory", {}).get("workingSetBytes", 0) for one in summary()["pods"]}
    return bool(uses.get(pod, 0) > TAKEN)


def under_pressure() -> bool:
    conditions = kubectl.get("node", NODE)["status"]["conditions"]
    return any(one["type"] == "MemoryPressure" and one["status"] == "True" for one in conditions)


@contextmanager
def short_of_memory() -> Iterator[None]:
    """A kubelet that wants half of what was taken back, until it has it; its settings are put back whatever happens."""
    wanted = summary()["node"]["memory"]["availableBytes"] + TAKEN // 2
    try:
        node.restart_kubelet(evictionHard=node.EVICTION | {"memory.available": str(wanted)}, **PROMPT)
        eventually("memory pressure", under_pressure, SECONDS, every=0.5)
        yield
        eventually("no pressure any more", lambda: not under_pressure(), SECONDS, every=0.5)
    finally:
        node.restart_kubelet()


@pytest.fixture
def space(cluster: Cluster) -> Iterator[None]:
    """A namespace for what takes the memory, and a priority below everybody's."""
    least = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": SPACE}, "value": -1000}
    with kubectl.namespace(SPACE):
        kubectl.apply([least])
        yield
    kubectl.kubectl("delete", "priorityclass", SPACE)


def hog() -> kubectl.Document:
    """A pod that matters least and takes 4 GiB.

    It asks for some, little as it is: a kubelet that starts short of memory rejects pods that ask for none.
    """
    deployment = kubectl.get("deployment", "gateway", "--namespace", NAMESPACE)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    container = {"name": "hog", "image": image, "command": ["python", "-c", TAKE], "resources": LITTLE}
    spec = {"priorityClassName": SPACE, "restartPolicy": "Never", "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hog", "namespace": SPACE}, "spec": spec}


def of_the_path(cluster: Cluster) -> set[str]:
    """The pods that a chat passes through."""
    found = cluster.pods("app.kubernetes.io/name=gateway") + cluster.pods(PREDICTOR)
    return {pod["metadata"]["name"] for pod in found}


def evicted(*pod: str) -> bool:
    status = kubectl.get("pod", *pod)["status"]
    return (
        status["phase"] == "Failed"
        and status.get("reason") == "Evicted"
        and "low on resource: memory" in status["message"]
    )


def test_what_matters_least_goes_and_every_chat_gets_a_response_or_may_be_asked_again(
    cluster: Cluster, space: None, chat_load: Load
) -> None:
    before = of_the_path(cluster)
    kubectl.apply([hog()])
    eventually("memory is taken", lambda: taken("hog"), SECONDS, every=0.5)
    with short_of_memory():
        eventually("the hog is evicted", lambda: evicted("hog", "--namespace", SPACE), SECONDS)
        more_answers(chat_load)
    assert of_the_path(cluster) == before
    assert chat_load.seen.wrong == []


def test_a_predictor_that_takes_too_much_is_replaced_and_no_chat_is_lost(cluster: Cluster, chat_load: Load) -> None:
    (victim,) = (pod["metadata"]["name"] for pod in cluster.pods(PREDICTOR))
    inside = ("exec", victim, "--namespace", NAMESPACE, "--container", "kserve-container", "--")
    kubectl.kubectl(*inside, "python", "-c", TAKE_BESIDE, TAKE)
    eventually("memory is taken", lambda: taken(victim), SECONDS, every=0.5)
    try:
        with short_of_memory():
            eventually("the predictor is evicted", lambda: evicted(victim, "--namespace", NAMESPACE), SECONDS)
            eventually("another in its place", lambda: bool(cluster.pods(PREDICTOR)), READY_SECONDS)
        more_answers(chat_load)
    finally:
        kubectl.kubectl("delete", "pods", "--namespace", NAMESPACE, "--field-selector=status.phase=Failed")
    assert chat_load.seen.wrong == []
