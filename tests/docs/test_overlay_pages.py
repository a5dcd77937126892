"""The pages about overlays say what the overlays are, and their examples render."""

import json
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from switchyard.devices.declared import of_deployment
from switchyard.local.plan.render import render
from tests.manifests.documents import CLUSTERS, COMPONENTS, ENVIRONMENTS, OVERLAYS, PLATFORM, ROOT, Document, of_kind
from tests.manifests.network import Peer, connects
from tests.manifests.test_network_policies import ELSEWHERE, connected
from tests.manifests.test_overlays_build import used

REFERENCE = ROOT / "docs/reference/overlays.md"
_ROW = re.compile(r"^\| (.+?) \|$", re.MULTILINE)
_BLOCK = re.compile(r"^(?:```yaml\n|cat > kustomization.yaml <<'YAML'\n)(.*?)^(?:```|YAML)$", re.MULTILINE | re.DOTALL)


def rows(page: Path) -> list[list[str]]:
    """The cells of every row of every table of a page."""
    return [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(page.read_text())]


def examples(page: Path) -> list[str]:
    """The kustomizations, and parts of one, that a page shows."""
    found: list[str] = _BLOCK.findall(page.read_text())
    return found


def with_example(folder: Path, text: str) -> list[Document]:
    """What an example renders to, in a folder beside this repository's."""
    (folder / "switchyard").symlink_to(ROOT)
    mine = folder / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(text)
    (mine / "tenants.yaml").write_text("tenants: []\n")
    return render(mine)


def test_the_table_of_components_is_what_overlays_list() -> None:
    table = {
        re.sub(r"\[(.+?)\].*", r"\1", name): [name for name, dot in zip(order, dots, strict=True) if dot]
        for name, _, *dots in (row for row in rows(REFERENCE) if "kustomize/components/" in row[0])
        for order in [("local", "local-gpu", "dev", "staging", "prod")]
    }

    assert table.keys() == {path.name for path in COMPONENTS.iterdir()}
    for name, environments in table.items():
        assert {*environments} == {one for one in ENVIRONMENTS if name in used(one)}, name


def test_figures_of_the_page_are_those_of_the_overlays() -> None:
    figures = {row[0]: [int(cell) for cell in row[1:]] for row in rows(REFERENCE) if len(row) == 3 and row[1].isdigit()}

    assert figures.keys() == {*ENVIRONMENTS}
    for name, (lines, objects) in figures.items():
        documents = render(OVERLAYS / name)
        assert lines == sum(len(path.read_text().splitlines()) for path in (OVERLAYS / name).iterdir()), name
        assert objects == len(documents), name


@pytest.mark.parametrize("page", ["deploy-dev", "deploy-prod"])
def test_an_overlay_of_your_own_runs_your_images(tmp_path: Path, page: str) -> None:
    (text,) = [text for text in examples(ROOT / f"docs/how-to/{page}.md") if "resources:" in text]
    documents = with_example(tmp_path, text)
    runtimes = of_kind(documents, "ClusterServingRuntime").values()
    images = {container["image"] for runtime in runtimes for container in runtime["spec"]["containers"]}

    assert all(image.startswith("registry.example.com/switchyard/") for image in images), images
    if page == "deploy-prod":
        door = of_kind(documents, "Gateway")["front-door"]["spec"]
        assert door["gatewayClassName"] == "my-internal-class"
        assert [one["hostname"] for one in door["listeners"]] == ["models.example.org", "grpc.models.example.org"]
        assert of_kind(documents, "PersistentVolumeClaim")["model-repository"]["spec"]["storageClassName"]


def test_a_setting_changed_in_an_overlay_of_your_own_reaches_its_service(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/deploy-dev.md").read_text()
    (setting,) = re.findall(r"`(configMapGenerator: .*USE_4BIT=true.*)`", page)
    documents = with_example(tmp_path, f"resources: [../switchyard/kustomize/overlays/dev]\n{setting}\n")
    service = of_kind(documents, "InferenceService")["chat-reasoning"]
    (source,) = service["spec"]["predictor"]["model"]["envFrom"]

    assert of_kind(documents, "ConfigMap")[source["configMapRef"]["name"]]["data"]["USE_4BIT"] == "true"


def test_another_gpu_is_told_to_the_sync_in_one_place(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/deploy-dev.md").read_text()
    (setting,) = re.findall(r"`(configMapGenerator: .*SWITCHYARD_DEVICE_MEMORY.*)`", page)
    documents = with_example(tmp_path, f"resources: [../switchyard/kustomize/overlays/dev]\n{setting}\n")
    sync = of_kind(documents, "Deployment")["repository-sync"]["spec"]["template"]["spec"]["containers"][0]
    device = of_deployment(of_kind(documents, "ConfigMap")[sync["envFrom"][0]["configMapRef"]["name"]]["data"])

    assert (device.kind, device.memory >> 30, device.compute_capability) == ("cuda", 20, (8, 9))


def test_the_sync_reaches_a_store_on_another_port_by_the_rule_of_its_page(tmp_path: Path) -> None:
    (patch,) = [text for text in examples(ROOT / "docs/how-to/serve-from-s3.md") if "NetworkPolicy" in text]
    dev = "resources: [../switchyard/kustomize/overlays/dev]\n"
    reached = {}
    for name, text in {"before": dev, "after": dev + patch}.items():
        (tmp_path / name).mkdir()
        policies = [*of_kind(with_example(tmp_path / name, text), "NetworkPolicy").values()]
        sync = Peer(labels={"app.kubernetes.io/name": "repository-sync"}, namespace="switchyard-dev")
        places = {namespace: Peer(namespace=namespace) for namespace in ("minio", "default")}
        reached[name] = [place for place, peer in places.items() if connects(policies, sync, peer, 9000)]

    assert reached == {"before": [], "after": ["minio"]}


def test_an_overlay_of_your_own_has_your_tenants_where_the_gateway_reads_them(tmp_path: Path) -> None:
    (prod,) = [text for text in examples(ROOT / "docs/how-to/deploy-prod.md") if "resources:" in text]
    ((indented,),) = [
        re.findall(r"^  ```yaml\n(.*?)^  ```$", (ROOT / "docs/how-to/deploy-dev.md").read_text(), re.M | re.S)
    ]
    dev = f"resources: [../switchyard/kustomize/overlays/dev]\n{textwrap.dedent(indented)}"

    for name, text in {"dev": dev, "prod": prod}.items():
        folder = tmp_path / name
        folder.mkdir()
        documents = with_example(folder, text)
        secret = of_kind(documents, "Secret")["tenants"]
        pod = of_kind(documents, "Deployment")["gateway"]["spec"]["template"]["spec"]
        (mount,) = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if one["name"] == "tenants"]
        reference = pod["containers"][0]["envFrom"][0]["configMapRef"]["name"]
        settings = of_kind(documents, "ConfigMap")[reference]["data"]

        assert {"name": "tenants", "secret": {"secretName": "tenants"}} in pod["volumes"]
        assert secret["metadata"]["namespace"] == f"switchyard-{name}"
        assert [f"{mount}/{file}" for file in secret["data"]] == [settings["SWITCHYARD_TENANTS"]]
        assert settings["SWITCHYARD_ALLOW_OPEN"] == "false"


def test_prods_gateway_counts_where_the_pages_secret_says() -> None:
    page = (ROOT / "docs/how-to/deploy-prod.md").read_text()
    pod = of_kind(render(OVERLAYS / "prod"), "Deployment")["gateway"]["spec"]["template"]["spec"]
    variables = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in pod["containers"][0]["env"]}
    secret = variables["SWITCHYARD_STORE"]

    assert f"create secret generic {secret['name']} --from-file={secret['key']}=" in page


def test_a_canary_is_one_patch(tmp_path: Path) -> None:
    (patch,) = [text for text in examples(ROOT / "docs/how-to/upgrade.md") if "canaryTrafficPercent" in text]
    documents = with_example(tmp_path, f"resources: [../switchyard/kustomize/overlays/prod]\n{patch}")

    assert of_kind(documents, "InferenceService")["chat-fast"]["spec"]["predictor"]["canaryTrafficPercent"] == 10


def test_the_pages_address_for_spans_is_one_that_every_cluster_overlay_lets_through() -> None:
    page = (ROOT / "docs/how-to/watch-a-cluster.md").read_text()
    ((name, namespace, port),) = re.findall(r"`http://(\w+)\.(\w+):(\d+)`", page)

    assert ELSEWHERE[name].namespace == namespace
    for environment in CLUSTERS:
        documents = {environment: render(OVERLAYS / environment)}
        assert connected(documents, environment, ("vision", name, int(port))), environment


def test_the_storage_that_the_page_names_is_that_of_prod() -> None:
    words = " ".join((ROOT / "docs/how-to/deploy-prod.md").read_text().split())
    documents = render(OVERLAYS / "prod")
    quota = of_kind(documents, "ResourceQuota")["namespace"]["spec"]["hard"]["requests.storage"]
    (group,) = of_kind(documents, "LocalModelNodeGroup").values()
    claim = group["spec"]["persistentVolumeClaimSpec"]["resources"]["requests"]["storage"]

    assert f"Its storage ({spaced(quota)}) holds the model repository and a claim of {spaced(claim)} for" in words


def spaced(quantity: str) -> str:
    return re.sub(r"(?<=\d)(?=[A-Z])", " ", quantity)


def test_the_hubs_token_lies_where_kserves_download_jobs_look_for_it() -> None:
    """KServe 0.20 downloads a cached model with the ClusterStorageContainer's variables, in the jobs' namespace."""
    settings = yaml.safe_load((PLATFORM / "local-models/local-models-on.yaml").read_text())["data"]
    container = yaml.safe_load((PLATFORM / "kserve/storage-initializer.yaml").read_text())["spec"]["container"]
    jobs = json.loads(settings["localModel"])["jobNamespace"]
    (token,) = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if one["name"] == "HF_TOKEN"]
    page = (ROOT / "docs/how-to/deploy-prod.md").read_text()

    assert f"kubectl -n {jobs} create secret generic {token['name']} --from-file={token['key']}=" in page
    made = yaml.safe_load((PLATFORM / "local-models/jobs-namespace.yaml").read_text())
    assert (made["kind"], made["metadata"]["name"]) == ("Namespace", jobs)
