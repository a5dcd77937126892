"""KServe from the manifests in its own Go module, set up as kustomize/platform does, with a certificate of our own."""

import base64
import json

from tools.cluster.kubernetes import kubectl, pki
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import PLATFORM
from tools.cluster.machine.shell import run
from tools.cluster.software import images, programs, versions
from tools.programs import module_folder

_NAMESPACE = "kserve"
_MANAGER = "kserve-controller-manager"
_WEBHOOK = "kserve-webhook-server-service.kserve.svc"
_DEFINITION = "CustomResourceDefinition"
_OF_CERT_MANAGER = ("Certificate", "Issuer")


def up(router_image: str) -> None:
    """Install KServe with ``router_image`` as the router of InferenceGraphs; returns when its manager is ready."""
    images.add_program(programs.KSERVE_MANAGER)
    images.add_program(programs.KUBE_RBAC_PROXY)
    folder = module_folder(f"github.com/kserve/kserve@v{versions.KSERVE}") / "config"
    documents = kubectl.parse(run("kubectl", "kustomize", folder / "overlays" / "standalone" / "kserve"))
    local_models = kubectl.parse(run("kubectl", "kustomize", folder / "crd" / "full" / "localmodel"))
    definitions = [one for one in [*documents, *local_models] if one["kind"] == _DEFINITION]
    kubectl.apply_definitions(definitions)
    others = [one for one in documents if one["kind"] not in (_DEFINITION, *_OF_CERT_MANAGER)]
    others = kubectl.kustomized("kserve", others, PLATFORM / "kserve")
    for document in others:
        _adapt(document, router_image)
    kubectl.apply(_namespace_first([*others, _certificate()]))


def wait() -> None:
    """Wait until KServe's manager, and with it its webhooks, are ready."""
    kubectl.rolled_out(_NAMESPACE, _MANAGER)


def _namespace_first(documents: list[Document]) -> list[Document]:
    return sorted(documents, key=lambda document: document["kind"] != "Namespace")


def _adapt(document: Document, router_image: str) -> None:
    if document["kind"].endswith("WebhookConfiguration"):
        authority = base64.b64encode(pki.AUTHORITY.read_bytes()).decode()
        for webhook in document["webhooks"]:
            webhook["clientConfig"]["caBundle"] = authority
    elif document["kind"] == "Deployment" and document["metadata"]["name"] == _MANAGER:
        _adapt_manager(document)
    elif document["kind"] == "ConfigMap" and document["metadata"]["name"] == "inferenceservice-config":
        router = json.loads(document["data"]["router"])
        document["data"]["router"] = json.dumps(router | {"image": router_image})


def _adapt_manager(deployment: Document) -> None:
    pod = deployment["spec"]["template"]["spec"]
    manager, proxy = pod["containers"]
    proxy["image"] = images.name(programs.KUBE_RBAC_PROXY)
    proxy["args"].remove("--v=10")  # a line for each request, several times
    manager["image"] = images.name(programs.KSERVE_MANAGER)
    manager["imagePullPolicy"] = "IfNotPresent"
    manager["resources"] = {"requests": {"cpu": "50m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "300Mi"}}
    manager["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}


def _certificate() -> Document:
    certificate, key = pki.server_certificate("kserve-webhook", "/CN=kserve-webhook", [_WEBHOOK], [])
    data = {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "kserve-webhook-server-cert", "namespace": _NAMESPACE},
        "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
    }
