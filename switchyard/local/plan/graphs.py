"""InferenceGraphs: the router that KServe's controller would start, as a process of this machine."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from switchyard import catalog
from switchyard.local.errors import LocalError
from switchyard.local.plan import scale
from switchyard.local.plan.containers import Index, runtime_of
from switchyard.local.plan.render import Document
from switchyard.local.plan.workloads import STOP, Command, Options, Service

PORT = 8080  # where KServe's router listens
METRICS_PORT = 9464
DOMAIN = "svc.cluster.local"

_MODULE = "switchyard.router"
_READINESS = "/readyz"
_PROTOCOLS = ("v1", "v2")


def service(document: Document, index: Index, options: Options) -> Service:
    """Plan the router of a graph; steps that name a service get its URL, as from the controller.

    Raises:
        LocalError: a step's service is not in the overlay.
    """
    metadata, spec = document["metadata"], document["spec"]
    name = metadata["name"]
    try:
        model = catalog.describe(document, url="")
    except catalog.CatalogError as err:
        raise LocalError(str(err)) from err
    annotations = metadata.get("annotations") or {}
    read = scale.read(metadata, spec)
    command = Command(
        name=name,
        argv=(options.python, "-m", _MODULE, "--graph-json", orjson.dumps(_resolved(document, index)).decode()),
        # No load balancer is to notice a drain: the supervisor sends no more before it stops one. In a pod, Knative
        # sets K_SERVICE and PORT.
        env={"DRAIN_SECONDS": "0", "K_SERVICE": name},
        port_variables={"PORT": PORT, "METRICS_PORT": METRICS_PORT},
        cwd=options.root,
        readiness=_READINESS,
        http_port=PORT,
        grpc=False,
        ports=frozenset((PORT, METRICS_PORT)),
        grace=read.timeout,
    )
    return Service(
        name=name,
        namespace=metadata.get("namespace", ""),
        model=model,
        command=command,
        sidecars=(),
        scale=read,
        model_dir=None,
        stopped=str(annotations.get(STOP, "false")).lower() == "true",
    )


def cluster_hosts(name: str, namespace: str) -> Iterator[str]:
    """Yield the host names by which pods of a cluster reach an InferenceService or a graph."""
    for workload in (name, f"{name}-predictor", f"{name}-transformer"):
        for domain in (namespace, f"{namespace}.svc", f"{namespace}.{DOMAIN}"):
            yield f"{workload}.{domain}"


def _resolved(document: Document, index: Index) -> dict[str, Any]:
    """Return the spec that the router gets: a ``serviceUrl`` in each step that names a service."""
    spec, metadata = document["spec"], document["metadata"]
    namespace = metadata.get("namespace", "")
    nodes = {}
    for node, value in (spec.get("nodes") or {}).items():
        where = f"InferenceGraph {metadata['name']}, node {node}"
        steps = [_step(step, where, namespace, index) for step in value.get("steps") or ()]
        nodes[node] = {**value, "steps": steps}
    return {**spec, "nodes": nodes}


def _step(step: Mapping[str, Any], where: str, namespace: str, index: Index) -> Mapping[str, Any]:
    name = step.get("serviceName")
    if not name or step.get("serviceUrl"):
        return step
    target = index.get("InferenceService", namespace, name)
    if target is None:
        raise LocalError(f"{where}: its step names the service {name}, which is not in the overlay")
    url = f"http://{name}.{namespace}.{DOMAIN}{_path(target, index)}"
    return {**step, "serviceUrl": url}


def _path(target: Document, index: Index) -> str:
    """Return the path that the controller appends: that of the first protocol that the model speaks.

    Source: KServe, ``pkg/controller/v1alpha1/inferencegraph/controller.go`` with ``GetPredictorEndpoint``.
    """
    name, predictor = target["metadata"]["name"], target["spec"]["predictor"]
    model = predictor.get("model")
    if model is None:
        own = (predictor.get("containers") or [{}])[0].get("env") or []
        protocol = next((row.get("value") for row in own if row.get("name") == "PROTOCOL"), "v1")
    elif model.get("runtime"):
        spoken = runtime_of(target, index)["spec"].get("protocolVersions") or ()
        protocol = next((one for one in spoken if one in _PROTOCOLS), "v1")
    else:
        protocol = model.get("protocolVersion") or "v1"
    return f"/v2/models/{name}/infer" if protocol == "v2" else f"/v1/models/{name}:predict"
