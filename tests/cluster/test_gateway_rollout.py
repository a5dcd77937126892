"""Gateways as staging and prod have them, two and spread, are replaced, killed and joined by a third under load."""

from collections.abc import Iterator

import httpx
import pytest

from switchyard.gateway.tenants.keys import create_key
from tests.cluster import prods
from tests.cluster.client import Cluster
from tests.cluster.load import load, lost, outcome, status_of
from tools.cluster.kubernetes import kubectl, metrics_server
from tools.cluster.machine.shell import eventually

pytestmark = pytest.mark.cluster

SPACE = "switchyard-test-gateways"
GATEWAY = {
    ("ConfigMap", "gateway-settings"),
    ("Deployment", "gateway"),
    ("PodDisruptionBudget", "gateway"),
    prods.PRIORITY,
    ("Role", "gateway"),
    ("RoleBinding", "gateway"),
    ("Service", "gateway"),
    ("ServiceAccount", "gateway"),
}
AUTOSCALER = ("HorizontalPodAutoscaler", "gateway")
READY_SECONDS = 120
CLIENTS = 4
# Seconds between two requests of a client. Without, clients take the processor time that kube-proxy needs to learn
# which gateways went, and with new connections use up the 28,000 ports that a machine has for an address in a minute.
PAUSE = 0.01
KEY = create_key()
MODELS = status_of("/v1/models", authorization=f"Bearer {KEY}")


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    """Where the two gateways are, both ready."""
    with kubectl.namespace(SPACE):
        kubectl.apply([prods.secret(SPACE, prods.tenant("clients", ["*"], test=KEY))])
        kubectl.apply(prods.gateway(GATEWAY, SPACE, replicas=2))  # what the autoscaler would begin with
        rolled_out()
        address = kubectl.get("service", "gateway", "--namespace", SPACE)["spec"]["clusterIP"]
        url = f"http://{address}:8000"
        with httpx.Client(base_url=url, trust_env=False) as client:
            eventually("the service answers", lambda: outcome(MODELS, client) == "200", READY_SECONDS)
        yield url
    kubectl.kubectl("delete", "priorityclass", "switchyard-path")


def rolled_out() -> None:
    waiting = ("rollout", "status", "deployment/gateway", f"--timeout={READY_SECONDS}s")
    kubectl.kubectl("--namespace", SPACE, *waiting, seconds=READY_SECONDS + 10)


def pods() -> list[str]:
    """The gateways that are not on their way out."""
    found = kubectl.get("pods", "--namespace", SPACE, "--selector", "app.kubernetes.io/name=gateway")["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def replace_all() -> None:
    """Roll both gateways, and wait until the old ones get no request any more."""
    before = set(pods())
    kubectl.kubectl("--namespace", SPACE, "rollout", "restart", "deployment/gateway")
    rolled_out()
    eventually("the old gateways left", lambda: not before & set(pods()), READY_SECONDS)


@pytest.mark.parametrize("keep", [False, True], ids=["new connections", "kept ones"])
def test_a_rollout_fails_no_request(url: str, keep: bool) -> None:
    with load(url, MODELS, CLIENTS, keep=keep, pause=PAUSE) as seen:
        replace_all()
    assert seen.keys() == {"200"}, seen


def test_a_gateway_that_is_killed_costs_at_most_the_requests_that_it_had(url: str) -> None:
    victim = pods()[0]
    with load(url, MODELS, CLIENTS, pause=PAUSE) as seen:
        kubectl.kubectl("--namespace", SPACE, "delete", "pod", victim, "--grace-period=0", "--force")
        eventually("another in its place", lambda: len(pods()) == 2 and victim not in pods(), READY_SECONDS)
        rolled_out()
    assert lost(seen).total() <= 2 * CLIENTS


@pytest.fixture
def autoscaler(url: str) -> Iterator[None]:
    """Prod's autoscaler, with a target that two cores can reach and no more than one gateway to add."""
    metrics_server.up()
    (document,) = prods.documents({AUTOSCALER}, SPACE)
    (metric,) = document["spec"]["metrics"]
    metric["resource"]["target"]["averageValue"] = "15m"  # of 700m; a gateway takes 3m when idle
    document["spec"]["maxReplicas"] = 3  # of 6
    kubectl.apply([document])
    yield
    metrics_server.down()


def test_the_autoscaler_knows_the_gateways_use_and_adds_one_without_a_failed_request(
    url: str, autoscaler: None
) -> None:
    waiting = ("wait", "--for=condition=ScalingActive", "hpa/gateway", f"--timeout={READY_SECONDS}s")
    kubectl.kubectl("--namespace", SPACE, *waiting, seconds=READY_SECONDS + 10)
    with load(url, MODELS, CLIENTS, keep=False, pause=PAUSE) as seen:
        eventually("a third gateway", lambda: len(pods()) == 3, READY_SECONDS)
        rolled_out()
        before = seen.total()
        eventually("answers of three", lambda: seen.total() >= before + 200, READY_SECONDS)
    assert seen.keys() == {"200"}, seen
