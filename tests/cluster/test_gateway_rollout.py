"""Gateways as staging and prod have them, two and spread, are replaced and killed while requests pass through them."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from switchyard.local.render import render
from tests.cluster import kubectl
from tests.cluster.client import Cluster
from tests.cluster.overlay import NAMESPACE
from tests.cluster.shell import eventually
from tests.manifests.documents import OVERLAYS

pytestmark = pytest.mark.cluster

SPACE = "switchyard-test-gateways"
GATEWAY = {
    ("ConfigMap", "gateway-settings"),
    ("Deployment", "gateway"),
    ("PodDisruptionBudget", "gateway"),
    ("PriorityClass", "switchyard-path"),
    ("Role", "gateway"),
    ("RoleBinding", "gateway"),
    ("Service", "gateway"),
    ("ServiceAccount", "gateway"),
}
READY_SECONDS = 120
CLIENTS = 4
# A connection that ends before an answer's first byte: what was asked may be asked again (RFC 9110, section 9.2.2).
RETRYABLE = ("RemoteProtocolError('Server disconnected without sending a response.')", "ReadError(", "ConnectError(")


def documents(image: str) -> list[kubectl.Document]:
    """Prod's gateway, in the namespace of these tests and with the image that is on the node."""
    found: list[kubectl.Document] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}]
    for document in render(OVERLAYS / "prod"):
        kind, name = document["kind"], document["metadata"]["name"]
        if (kind, name.rpartition("-")[0] if kind == "ConfigMap" else name) in GATEWAY:
            found.append(json.loads(json.dumps(document).replace("switchyard-prod", SPACE)))
    for document in found:
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = 2  # there is no autoscaler here
            document["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return found


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    """Where the two gateways are, both ready."""
    running = kubectl.get("deployment", "gateway", "--namespace", NAMESPACE)
    kubectl.apply(documents(running["spec"]["template"]["spec"]["containers"][0]["image"]))
    rolled_out()
    address = kubectl.get("service", "gateway", "--namespace", SPACE)["spec"]["clusterIP"]
    yield f"http://{address}:8000"
    kubectl.kubectl("delete", "priorityclass", "switchyard-path")
    kubectl.kubectl("delete", "namespace", SPACE, "--wait=false")


def rolled_out() -> None:
    waiting = ("rollout", "status", "deployment/gateway", f"--timeout={READY_SECONDS}s")
    kubectl.kubectl("--namespace", SPACE, *waiting, seconds=READY_SECONDS + 10)


def pods() -> list[str]:
    """The gateways that are not on their way out."""
    found = kubectl.get("pods", "--namespace", SPACE, "--selector", "app.kubernetes.io/name=gateway")["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


@contextmanager
def load(url: str, *, keep: bool = True) -> Iterator[Counter[str]]:
    """Clients that ask all the time, each on a connection that it keeps or on a new one; what they were answered."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)

    def go() -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False, limits=limits) as client:
            while not done.is_set():
                try:
                    seen[str(client.get("/v1/models").status_code)] += 1
                except httpx.HTTPError as error:
                    seen[repr(error)] += 1

    threads = [threading.Thread(target=go) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def replace_all() -> None:
    """Roll both gateways, and wait until the old ones get no request any more."""
    before = set(pods())
    kubectl.kubectl("--namespace", SPACE, "rollout", "restart", "deployment/gateway")
    rolled_out()
    eventually("the old gateways left", lambda: not before & set(pods()), READY_SECONDS)


def lost(seen: Counter[str]) -> Counter[str]:
    """What was not answered, all of which must be clear to have reached nobody."""
    errors = Counter({what: count for what, count in seen.items() if what != "200"})
    assert all(what.startswith(RETRYABLE) for what in errors), errors
    return errors


def test_a_rollout_fails_no_request_on_a_new_connection(url: str) -> None:
    with load(url, keep=False) as seen:
        replace_all()
    assert seen.keys() == {"200"}, seen


def test_a_rollout_closes_kept_connections_before_an_answer_or_after_it(url: str) -> None:
    with load(url) as seen:
        replace_all()
    assert lost(seen).total() <= 2 * CLIENTS, "more than one for each client and gateway"


def test_a_gateway_that_is_killed_costs_at_most_the_requests_that_it_had(url: str) -> None:
    victim = pods()[0]
    with load(url) as seen:
        kubectl.kubectl("--namespace", SPACE, "delete", "pod", victim, "--grace-period=0", "--force")
        eventually("another in its place", lambda: len(pods()) == 2 and victim not in pods(), READY_SECONDS)
        rolled_out()
    assert lost(seen).total() <= 2 * CLIENTS
