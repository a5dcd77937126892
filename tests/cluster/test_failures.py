"""What breaks under load: every request is answered, or rejected with words that say try again."""

from collections.abc import Callable

import pytest

from tests.cluster.client import READY_SECONDS, Cluster
from tests.cluster.load import more_answers
from tests.live.load import Load
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

_PREDICTOR = "serving.kserve.io/inferenceservice=chat-fast"


def names(pods: Callable[[], list[kubectl.Document]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods()}


def test_a_predictor_that_dies_under_load_is_replaced(cluster: Cluster, chat_load: Load) -> None:
    def pods() -> list[kubectl.Document]:
        return cluster.pods(_PREDICTOR)

    before = names(pods)
    for name in before:
        kubectl.kubectl("delete", "pod", name, "--namespace", NAMESPACE, "--grace-period=0", "--force")
    eventually("another pod", lambda: bool(names(pods) - before), READY_SECONDS)
    more_answers(chat_load)
    assert chat_load.seen.wrong == []


def test_a_new_gateway_takes_over_without_a_failed_request(cluster: Cluster, chat_load: Load) -> None:
    rejected = len(chat_load.seen.rejected)
    kubectl.kubectl("rollout", "restart", "deployment/gateway", "--namespace", NAMESPACE)
    kubectl.rolled_out(NAMESPACE, "gateway")
    more_answers(chat_load)
    assert chat_load.seen.wrong == []
    assert chat_load.seen.rejected[rejected:] == []


def test_a_graph_answers_while_the_store_of_its_step_restarts(cluster: Cluster) -> None:
    assert cluster.chat("auto").text
    kubectl.kubectl("delete", "pod", "redis-0", "--namespace", NAMESPACE, "--grace-period=0", "--force")
    assert all(cluster.chat("auto").text for _ in range(6))
    kubectl.kubectl("--namespace", NAMESPACE, "rollout", "status", "statefulset/redis", "--timeout=120s")
    assert cluster.chat("auto").text
