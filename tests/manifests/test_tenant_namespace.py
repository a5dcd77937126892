"""The namespace of component tenant, as docs/how-to/give-a-tenant-instances.md has it: guarded, bounded, closed."""

from pathlib import Path

import pytest

from switchyard.local.plan.references import dangling
from switchyard.local.plan.render import render
from tests.docs.following import blocks
from tests.manifests.documents import OVERLAYS, ROOT, Document, Rendered, of_kind
from tests.manifests.network import Peer, connects
from tests.manifests.pods import pods
from tests.manifests.sums import pods_of, times
from tests.manifests.test_network_policies import ELSEWHERE
from tests.manifests.test_pod_security import violations
from tests.manifests.test_rbac import READ, grants
from tests.manifests.test_schema import problems
from tests.manifests.test_sums import require_room

PAGE = ROOT / "docs/how-to/give-a-tenant-instances.md"
SPACE = "switchyard-acme"

OPEN = [
    ("activator", "acme-chat", 8012),
    ("kourier", "acme-chat", 8013),
    ("autoscaler", "acme-chat", 9090),
    ("prometheus", "acme-chat", 8080),
    ("prometheus", "acme-chat", 9091),
    ("acme-chat", "collector", 4318),
    ("acme-chat", "hub", 443),
]
CLOSED = [
    ("gateway", "acme-chat", 8080),
    ("gateway", "acme-chat", 8012),
    ("neighbor", "acme-chat", 8012),
    ("neighbor", "acme-chat", 8080),
    ("front door", "acme-chat", 8012),
    ("stranger", "acme-chat", 8080),
    ("acme-chat", "gateway", 8000),
    ("acme-chat", "neighbor", 8080),
    ("acme-chat", "kourier", 8081),
    ("acme-chat", "API server", 443),
    ("acme-chat", "database", 6379),
    ("acme-chat", "metadata service", 80),
    ("acme-chat", "metadata service", 443),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folders: the tenant's, and the platform's beside it."""
    folder = tmp_path_factory.mktemp("tenant")
    (folder / "switchyard").symlink_to(ROOT)
    for block in blocks(PAGE):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    return folder


@pytest.fixture(scope="module")
def documents(written: Path) -> list[Document]:
    return render(written / "acme")


def with_runtimes(documents: list[Document]) -> list[Document]:
    """The tenant's documents with those that the platform's overlay has for the whole cluster."""
    runtimes = of_kind(render(OVERLAYS / "prod"), "ClusterServingRuntime").values()
    return [*documents, *runtimes]


def peers(documents: list[Document]) -> dict[str, Peer]:
    own = {pod.name: Peer(labels=pod.labels, namespace=SPACE) for pod in pods(with_runtimes(documents))}
    (labels,) = [pod.labels for pod in pods(render(OVERLAYS / "prod")) if pod.name == "gateway"]
    gateway = Peer(labels=labels, namespace="switchyard-prod")
    return {**ELSEWHERE, **own, "gateway": gateway, "neighbor": Peer(labels=own["acme-chat"].labels, namespace="other")}


def test_the_paths_of_a_request_are_open_and_nothing_else_is(documents: list[Document]) -> None:
    policies, named = [*of_kind(documents, "NetworkPolicy").values()], peers(documents)
    opened = [flow for flow in OPEN + CLOSED if connects(policies, named[flow[0]], named[flow[1]], flow[2])]

    assert opened == OPEN
    assert connects(policies, named["acme-chat"], named["dns"], 53, "UDP")


def test_the_namespace_rejects_pods_that_could_harm_their_node_and_has_the_tenants_own_fit(
    documents: list[Document],
) -> None:
    (namespace,) = of_kind(documents, "Namespace").values()
    labels = namespace["metadata"]["labels"]

    assert namespace["metadata"]["name"] == SPACE
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert {pod.name: [*violations(pod)] for pod in pods(with_runtimes(documents))} == {"acme-chat": []}


def test_its_models_at_their_most_and_one_rollout_fit_the_quota_and_limits(documents: list[Document]) -> None:
    (workload,) = pods_of(with_runtimes(documents))
    name, least, most, amounts = workload

    assert (name, least) == ("acme-chat", 0)
    require_room("the tenant", documents, times(amounts, most + 1))
    quota = of_kind(documents, "ResourceQuota")["namespace"]["spec"]["hard"]
    assert quota["services.loadbalancers"] == quota["services.nodeports"] == "0"


def test_models_have_no_token_and_the_platforms_gateway_may_read_what_is_served_and_nothing_else(
    documents: list[Document],
) -> None:
    accounts = of_kind(documents, "ServiceAccount")
    assert {name: one["automountServiceAccountToken"] for name, one in accounts.items()} == {"predictor": False}
    assert {pod.spec["serviceAccountName"] for pod in pods(with_runtimes(documents))} == {"predictor"}

    served = (
        "inferenceservices.serving.kserve.io",
        "inferencegraphs.serving.kserve.io",
        "revisions.serving.knative.dev",
        "configmaps./model-repository-status",
    )
    assert {*grants(documents)} == {("gateway", verb, kind) for verb in READ for kind in served}
    (subject,) = of_kind(documents, "RoleBinding")["gateway"]["subjects"]
    assert subject["namespace"] == "switchyard-prod"


def test_every_object_fits_its_schema_is_in_the_namespace_and_names_what_is_there(documents: list[Document]) -> None:
    assert {one["metadata"]["name"]: problems(one) for one in documents if problems(one)} == {}
    placed = {one["metadata"].get("namespace") for one in documents if one["kind"] != "Namespace"}
    assert placed == {SPACE}
    assert dangling(with_runtimes(documents)) == []


def test_the_platforms_gateway_is_told_whose_namespace_it_is(written: Path, rendered: Rendered) -> None:
    (settings,) = [
        one["data"]
        for one in render(written / "mine")
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith("gateway-settings-")
    ]
    (whole,) = [
        one["data"]
        for one in rendered["prod"]
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith("gateway-settings-")
    ]
    assert settings == {**whole, "SWITCHYARD_TENANT_NAMESPACES": f"acme={SPACE}"}
