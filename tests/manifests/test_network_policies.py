"""Who may connect to whom in a cluster: the paths of a request, and nothing beside them."""

from collections.abc import Mapping

import pytest

from switchyard.local.plan.graphs import METRICS_PORT
from switchyard.local.plan.references.selectors import selects
from tests.manifests.documents import CLUSTERS, Document, Rendered, of_kind
from tests.manifests.network import Peer, connects
from tests.manifests.pods import pods

ELSEWHERE = {
    "activator": Peer(namespace="knative-serving", labels={"app": "activator"}),
    "autoscaler": Peer(namespace="knative-serving", labels={"app": "autoscaler"}),
    "kourier": Peer(namespace="kourier-system", labels={"app": "3scale-kourier-gateway"}),
    "dns": Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}),
    "prometheus": Peer(namespace="monitoring"),
    "collector": Peer(namespace="monitoring", labels={"app": "collector"}),
    "front door": Peer(namespace="ingress", namespace_labels={"switchyard.dev/front-door": "true"}),
    "stranger": Peer(namespace="default"),
    "API server": Peer(address="10.200.0.1"),
    "metadata service": Peer(address="169.254.169.254"),
    "node's DNS cache": Peer(address="169.254.20.10"),
    "hub": Peer(address="18.164.10.10"),
    "database": Peer(address="10.0.7.7"),
}

OPEN = [
    ("front door", "gateway", 8000),
    ("front door", "gateway", 8001),
    ("client", "gateway", 8000),
    ("gateway", "kourier", 8081),
    ("gateway", "activator", 8012),
    ("gateway", "API server", 6443),
    ("gateway", "API server", 443),
    ("kourier", "auto", 8012),
    ("activator", "auto", 8012),
    ("auto", "kourier", 8081),
    ("complexity", "kourier", 8081),
    ("activator", "complexity", 8012),
    ("activator", "chat-fast", 8012),
    ("kourier", "chat-reasoning", 8013),
    ("kourier", "vision", 8013),
    ("autoscaler", "chat-fast", 9090),
    ("chat-fast", "hub", 443),
    ("prometheus", "gateway", 8000),
    ("prometheus", "chat-fast", 8080),
    ("prometheus", "auto", 9091),
    ("gateway", "collector", 4318),
    ("auto", "collector", 4318),
    ("chat-fast", "collector", 4318),
    ("vision", "collector", 4317),
]

CLOSED = [
    ("stranger", "gateway", 8000),
    ("stranger", "chat-fast", 8012),
    ("stranger", "chat-fast", 8080),
    ("front door", "chat-fast", 8012),
    ("client", "chat-fast", 8080),
    ("client", "hub", 443),
    ("prometheus", "gateway", 8001),
    ("stranger", "auto", 9464),
    ("chat-fast", "collector", 9090),
    ("prometheus", "chat-fast", 8012),
    ("gateway", "chat-fast", 8080),
    ("gateway", "metadata service", 443),
    ("gateway", "metadata service", 6379),
    ("activator", "chat-fast", 8080),
    ("chat-fast", "gateway", 8000),
    ("chat-fast", "kourier", 8081),
    ("chat-fast", "API server", 6443),
    ("chat-fast", "API server", 443),
    ("chat-fast", "metadata service", 80),
    ("chat-fast", "metadata service", 443),
    ("chat-fast", "chat-reasoning", 8080),
    ("chat-fast", "database", 6379),
    ("vision", "hub", 443),
    ("vision", "kourier", 8081),
    ("auto", "hub", 443),
    ("auto", "database", 6379),
    ("complexity", "hub", 443),
    ("complexity", "metadata service", 6379),
]

OF_DEV = [
    ("complexity", "redis", 6379),
    ("gateway", "redis", 6379),
    ("repository-sync", "hub", 443),
    ("repository-sync", "API server", 6443),
    ("prometheus", "repository-sync", 8080),
]
OF_OTHERS = [("complexity", "database", 6379), ("gateway", "database", 6379), ("gateway", "database", 6380)]
NOT_IN_DEV = [
    *OF_OTHERS,
    ("auto", "redis", 6379),
    ("chat-fast", "redis", 6379),
    ("client", "redis", 6379),
    ("stranger", "redis", 6379),
    ("redis", "hub", 443),
    ("repository-sync", "metadata service", 443),
    ("repository-sync", "chat-fast", 8080),
    ("repository-sync", "redis", 6379),
    ("gateway", "repository-sync", 8080),
    ("stranger", "repository-sync", 8080),
]


def connected(rendered: Rendered, environment: str, flow: tuple[str, str, int], protocol: str = "TCP") -> bool:
    """Whether a flow of the tables above is possible in an environment."""
    policies = [*of_kind(rendered[environment], "NetworkPolicy").values()]
    namespace = f"switchyard-{environment}"
    peers = {pod.name: Peer(labels=pod.labels, namespace=namespace) for pod in pods(rendered[environment])}
    peers |= {**ELSEWHERE, "client": Peer(labels={"switchyard.dev/client": "true"}, namespace=namespace)}
    source, target, port = flow
    return connects(policies, peers[source], peers[target], port, protocol)


@pytest.mark.parametrize("environment", CLUSTERS)
def test_every_step_of_a_request_is_let_through(rendered: Rendered, environment: str) -> None:
    flows = OPEN + (OF_DEV if environment == "dev" else OF_OTHERS)

    assert [flow for flow in flows if not connected(rendered, environment, flow)] == []


@pytest.mark.parametrize("environment", CLUSTERS)
def test_nothing_else_is(rendered: Rendered, environment: str) -> None:
    flows = CLOSED + (NOT_IN_DEV if environment == "dev" else [])

    assert [flow for flow in flows if connected(rendered, environment, flow)] == []


@pytest.mark.parametrize("environment", CLUSTERS)
def test_every_pod_finds_names_and_is_denied_by_default(rendered: Rendered, environment: str) -> None:
    everyone = [pod.name for pod in pods(rendered[environment])]

    for server in ("dns", "node's DNS cache"):
        assert [name for name in everyone if not connected(rendered, environment, (name, server, 53), "UDP")] == []
    assert [name for name in everyone if connected(rendered, environment, (name, "stranger", 80))] == []
    assert [name for name in everyone if connected(rendered, environment, ("stranger", name, 80))] == []


@pytest.mark.parametrize("environment", CLUSTERS)
def test_every_pod_of_ours_says_where_its_metrics_are_and_prometheus_may_read_them(
    rendered: Rendered, environment: str
) -> None:
    for pod in pods(rendered[environment]):
        if pod.name == "redis":  # it has no exporter
            continue
        listening = {port["containerPort"] for one in pod.spec["containers"] for port in one.get("ports", ())}
        if pod.labels.get("switchyard.dev/kind") == "graph":
            listening.add(METRICS_PORT)
        port = int(pod.annotations["prometheus.io/port"])
        assert port in listening, pod.name
        assert pod.annotations["prometheus.io/scrape"] == "true", pod.name
        assert pod.annotations.get("prometheus.io/path", "/metrics") == "/metrics", pod.name
        assert connected(rendered, environment, ("prometheus", pod.name, port)), pod.name


def test_a_gateway_that_listens_beyond_its_pod_asks_for_keys_or_is_said_to_be_open(rendered: Rendered) -> None:
    asks = {
        name: data.get("SWITCHYARD_TENANTS", "") for name in CLUSTERS for data in [gateway_settings(rendered[name])]
    }
    open_to_all = {name: gateway_settings(rendered[name])["SWITCHYARD_ALLOW_OPEN"] for name in CLUSTERS}

    assert asks == {"dev": "", "staging": "/etc/switchyard/tenants.yaml", "prod": "/etc/switchyard/tenants.yaml"}
    assert open_to_all == {"dev": "true", "staging": "false", "prod": "false"}


def gateway_settings(documents: list[Document]) -> Mapping[str, str]:
    """The gateway's settings, as it reads them."""
    (data,) = [
        document["data"]
        for document in documents
        if document["kind"] == "ConfigMap" and document["metadata"]["name"].startswith("gateway-settings-")
    ]
    found: Mapping[str, str] = data
    return found


def test_a_gateway_is_closed_to_whom_no_label_lets_in(rendered: Rendered) -> None:
    """Each peer that a policy names is chosen by a label that somebody set, not its address, keys or no keys."""
    for name, documents in rendered.items():
        labels = {"app.kubernetes.io/name": "gateway"}
        policies = [
            policy
            for policy in of_kind(documents, "NetworkPolicy").values()
            if "Ingress" in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels)
        ]
        assert (name in CLUSTERS) == bool(policies), name
        for rule in (rule for policy in policies for rule in policy["spec"].get("ingress", ())):
            assert rule["ports"]
            assert rule["from"]
            for peer in rule["from"]:
                (selector,) = peer.values()
                assert "ipBlock" not in peer
                assert selector["matchLabels"], f"{name}: {rule} lets in whom nobody chose"
