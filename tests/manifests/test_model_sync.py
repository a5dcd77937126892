"""The repository sync of a cluster is told what models run on by the component that decides it."""

from switchyard.devices.declared import of_deployment
from switchyard.local.plan.render import render
from tests.manifests.documents import CLUSTERS, ROOT, Document, Rendered, of_kind
from tests.manifests.network import Peer, connects
from tests.manifests.test_network_policies import ELSEWHERE

SYNC = "repository-sync"


def environment(documents: list[Document]) -> dict[str, str]:
    """What the sync's container gets from ConfigMaps and literal variables."""
    container = of_kind(documents, "Deployment")[SYNC]["spec"]["template"]["spec"]["containers"][0]
    names = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
    found: dict[str, str] = {}
    for name in names:
        found |= of_kind(documents, "ConfigMap")[name]["data"]
    return found | {one["name"]: one["value"] for one in container["env"]}


def gpus(documents: list[Document]) -> set[str]:
    """What language and embedding models ask for."""
    return {
        service["spec"]["predictor"]["model"].get("resources", {}).get("limits", {}).get("nvidia.com/gpu", "")
        for service in of_kind(documents, "InferenceService").values()
        if service["metadata"]["labels"]["switchyard.dev/kind"] in ("embedding", "llm")
    }


def test_every_overlay_with_a_sync_tells_it_the_device_that_its_models_get(rendered: Rendered) -> None:
    with_sync = [name for name in CLUSTERS if SYNC in of_kind(rendered[name], "Deployment")]
    assert with_sync
    for name in with_sync:
        device = of_deployment(environment(rendered[name]))
        assert gpus(rendered[name]) == ({"1"} if device.kind == "cuda" else {""}), name


def test_the_cluster_that_tests_run_in_has_cpus() -> None:
    documents = render(ROOT / "tools/cluster/platform/overlay")
    assert of_deployment(environment(documents)).kind == "cpu"


def test_the_sync_reaches_names_the_api_server_and_sources_by_its_own_policy_alone(rendered: Rendered) -> None:
    """Its component is enough in a cluster that closes nothing else."""
    own = [of_kind(rendered["dev"], "NetworkPolicy")[SYNC]]
    namespace = own[0]["metadata"]["namespace"]
    sync = Peer(labels={"app.kubernetes.io/name": SYNC}, namespace=namespace)
    reached = {
        (place, port)
        for place in ("dns", "node's DNS cache", "API server", "hub", "metadata service")
        for port in (53, 80, 443, 6443, 8080, 9000)
        if connects(own, sync, ELSEWHERE[place], port, "UDP" if port == 53 else "TCP")
    }
    by_port = {(place, port) for place in ("dns", "API server", "hub") for port in (443, 6443)}

    assert reached == {("dns", 53), ("node's DNS cache", 53)} | by_port
    assert not connects(own, Peer(namespace=namespace), sync, 8080)
