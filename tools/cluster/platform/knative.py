"""Knative Serving from the manifests in its own Go module, with what a test cluster sets differently."""

from pathlib import Path

from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import PLATFORM
from tools.cluster.software import images, programs, versions
from tools.programs import module_folder

_NAMESPACE = "knative-serving"
_DEPLOYMENTS = ("controller", "autoscaler", "activator", "webhook")
_FROM_SOURCE = "ko://knative.dev/serving/cmd/"
# Tests see a model fall asleep in seconds; everything else is as Knative ships it and kustomize/platform sets it.
_AUTOSCALING = {"stable-window": "6s", "scale-to-zero-grace-period": "6s", "allow-zero-initial-scale": "true"}


def up() -> None:
    """Install Knative Serving; returns when its pods are ready, all but the networking layer."""
    for program in programs.KNATIVE.values():
        images.add_program(program)
    serving, networking, caching = _configurations()
    kubectl.apply(kubectl.read(serving / "100-namespace.yaml"))
    # In the repository these are symbolic links into two other modules, which a module's archive cannot hold.
    elsewhere = [
        networking / f"{name}.yaml" for name in ("certificate", "domain-claim", "ingress", "serverlessservice")
    ]
    kubectl.apply_definitions(kubectl.read(serving / "300-resources", *elsewhere, caching / "image.yaml"))
    documents = kubectl.read(
        serving / "200-roles",
        serving / "200-serviceaccount.yaml",
        serving / "300-knativecertificate.yaml",
        serving / "configmaps",
        networking / "config-network.yaml",
        serving / "999-cache.yaml",
        serving / "webhooks",
        *(serving / "deployments" / f"{name}.yaml" for name in _DEPLOYMENTS),
    )
    documents = kubectl.kustomized("knative", documents, PLATFORM / "knative")
    for document in documents:
        _adapt(document)
    kubectl.apply(documents)


def wait() -> None:
    """Wait until Knative's pods are ready."""
    kubectl.rolled_out(_NAMESPACE, *_DEPLOYMENTS)


def _configurations() -> tuple[Path, Path, Path]:
    serving = module_folder(f"knative.dev/serving@v{versions.KNATIVE}")
    beside = [
        module_folder(f"{module}@{programs.required_version(serving, module)}") / "config"
        for module in ("knative.dev/networking", "knative.dev/caching")
    ]
    return serving / "config" / "core", beside[0], beside[1]


def _adapt(document: Document) -> None:
    """Put our images and settings into one of Knative's documents."""
    name = document["metadata"]["name"]
    if document["kind"] == "Deployment":
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["image"] = _image(container["image"])
        container["readinessProbe"]["periodSeconds"] = 1
    elif document["kind"] == "Image":
        document["spec"]["image"] = _image(document["spec"]["image"])
    elif name == "config-deployment":
        document["data"]["queue-sidecar-image"] = _image(document["data"]["queue-sidecar-image"])
    elif name == "config-autoscaler":
        document["data"] |= _AUTOSCALING


def _image(from_source: str) -> str:
    return images.name(programs.KNATIVE[from_source.removeprefix(_FROM_SOURCE)])
