"""Prod's gateway as its overlay describes it, moved to where tests run it, and the tenants that it asks for."""

import base64
import json

from switchyard.gateway.tenants.keys import digest
from switchyard.local.plan.render import render
from tests.manifests.documents import OVERLAYS
from tools.cluster.kubernetes import kubectl
from tools.cluster.platform.dev_overlay import NAMESPACE

PRIORITY = ("PriorityClass", "switchyard-path")


def documents(wanted: set[tuple[str, str]], namespace: str) -> list[kubectl.Document]:
    """Those of prod's documents, by kind and name, in another namespace."""
    found: list[kubectl.Document] = []
    for document in render(OVERLAYS / "prod"):
        kind, name = document["kind"], document["metadata"]["name"]
        if (kind, name.rpartition("-")[0] if kind == "ConfigMap" else name) in wanted:
            found.append(json.loads(json.dumps(document).replace("switchyard-prod", namespace)))
    return found


def gateway(wanted: set[tuple[str, str]], namespace: str, replicas: int) -> list[kubectl.Document]:
    """Those documents with the image that is on the node."""
    running = kubectl.get("deployment", "gateway", "--namespace", NAMESPACE)
    found = documents(wanted, namespace)
    for document in found:
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = replicas
            (container,) = document["spec"]["template"]["spec"]["containers"]
            container["image"] = running["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def tenant(name: str, models: list[str], **keys: str) -> kubectl.Document:
    """A tenant of tenants.yaml; ``keys`` are by their ids' last part."""
    hashes = [{"id": f"{name}-{end}", "sha256": digest(key.encode()).hex()} for end, key in keys.items()]
    return {"name": name, "models": models, "keys": hashes}


def secret(namespace: str, *tenants: kubectl.Document) -> kubectl.Document:
    """The Secret that prod's gateway reads its tenants from."""
    text = json.dumps({"tenants": tenants})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tenants", "namespace": namespace},
        "data": {"tenants.yaml": base64.b64encode(text.encode()).decode()},
    }
