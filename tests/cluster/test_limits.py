"""Two of prod's gateways that count in dev's Redis: together they let through what a tenant's limit allows, no more."""

import itertools
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from switchyard.gateway.tenants.keys import create_key
from tests.cluster import prods
from tests.cluster.client import WAKING_SECONDS, Cluster
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

# Beside dev's own gateway, as in test_tenants.py: no Service leads to these, each is asked by its pod's address.
NAME = "gateway-with-limits"
GATEWAY = {("ConfigMap", "gateway-settings"), ("Deployment", "gateway"), prods.PRIORITY}
LABELED = "app.kubernetes.io/name"
READY_SECONDS = 60
MOST, CALLS, CLIENTS = 12, 60, 8
LIMITED, FREE = create_key(), create_key()
EMBED = {"model": "embed", "input": "What is 2 + 3?"}


def store_of_dev() -> str:
    """What component redis tells dev's own gateway."""
    deployment = kubectl.get("deployment", "gateway", "--namespace", NAMESPACE)
    (source,) = deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    settings = kubectl.get("configmap", source["configMapRef"]["name"], "--namespace", NAMESPACE)
    return str(settings["data"]["SWITCHYARD_STORE"])


def documents() -> list[kubectl.Document]:
    # A name of this run's own: what another took of its limit is still in Redis.
    limited = prods.tenant(f"limited-{secrets.token_hex(4)}", ["*"], first=LIMITED)
    limited["limits"] = [{"limit": "requests", "most": MOST, "per": "month"}]
    secret = prods.secret(NAMESPACE, limited, prods.tenant("free", ["*"], first=FREE))
    found = [*prods.gateway(GATEWAY, NAMESPACE, replicas=2), secret]
    (settings,) = [document for document in found if document["kind"] == "ConfigMap"]
    settings["data"]["SWITCHYARD_STORE"] = store_of_dev()
    # All under names of their own: test_tenants.py has other settings and tenants by those of prod.
    renamed = json.dumps(found).replace(settings["metadata"]["name"], f"{NAME}-settings")
    for field, name in ((LABELED, "gateway"), ("secretName", "tenants")):
        renamed = renamed.replace(f'"{field}": "{name}"', f'"{field}": "{NAME}"')
    documents: list[kubectl.Document] = json.loads(renamed)
    for document in documents:
        if document["kind"] in ("Deployment", "Secret"):
            document["metadata"]["name"] = NAME
    return documents


@pytest.fixture(scope="module")
def gateways(cluster: Cluster) -> Iterator[list[str]]:
    """The URLs of both, which know that their model is awake."""
    parts = documents()
    kubectl.apply(parts)
    try:
        yield ready()
    finally:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": parts})
        kubectl.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", text=text)


def ready() -> list[str]:
    kubectl.rolled_out(NAMESPACE, NAME)
    eventually("there are two", lambda: len(urls()) == 2, READY_SECONDS)
    found = urls()
    for url in found:  # by a key without limits
        eventually(f"{url} serves", partial(serves, url), WAKING_SECONDS)
    return found


def urls() -> list[str]:
    """Those of the pods that are not on their way out."""
    found = kubectl.get("pods", "--namespace", NAMESPACE, "--selector", f"{LABELED}={NAME}")["items"]
    return [f"http://{pod['status']['podIP']}:8000" for pod in found if "deletionTimestamp" not in pod["metadata"]]


def serves(url: str) -> bool:
    try:
        return embedded(url, FREE)[0] == 200
    except httpx.TransportError:
        return False


def embedded(url: str, key: str) -> tuple[int, Mapping[str, str]]:
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, timeout=WAKING_SECONDS, trust_env=False) as client:
        response = client.post("/v1/embeddings", json=EMBED, headers=headers)
        return response.status_code, response.headers


def test_a_limit_holds_across_two_gateways_that_share_a_redis(gateways: list[str]) -> None:
    asked = list(itertools.islice(itertools.cycle(gateways), CALLS))
    with ThreadPoolExecutor(CLIENTS) as clients:
        outcomes = list(clients.map(lambda url: embedded(url, LIMITED), asked))
    assert Counter(status for status, _ in outcomes) == {200: MOST, 429: CALLS - MOST}
    served = {url for url, (status, _) in zip(asked, outcomes, strict=True) if status == 200}
    assert served == set(gateways)
    # Each counted the other's: what a call was told is left, no other was told.
    left = sorted(int(headers["x-ratelimit-remaining-requests"]) for status, headers in outcomes if status == 200)
    assert left == list(range(MOST))

    kubectl.kubectl("--namespace", NAMESPACE, "rollout", "restart", f"deployment/{NAME}")
    assert [embedded(url, LIMITED)[0] for url in ready()] == [429, 429]
