"""The repository sync of a cluster is told what models run on by the component that decides it."""

from switchyard.devices.declared import of_deployment
from switchyard.local.plan.render import render
from tests.manifests.documents import CLUSTERS, ROOT, Document, Rendered, of_kind

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
