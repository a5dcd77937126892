"""Objects as KServe and Knative leave them in a cluster."""

from typing import Any

Document = dict[str, Any]


def service(name: str = "chat", kind: str = "llm", *, status: Document | None = None, **annotations: str) -> Document:
    spec = {"predictor": {"model": {"modelFormat": {"name": "triton" if kind == "vision" else "vllm"}}}}
    keys = {f"switchyard.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": "lab", "labels": {"switchyard.dev/kind": kind}, "annotations": keys}
    return {"kind": "InferenceService", "metadata": metadata, "spec": spec, "status": status or {}}


def graph(name: str = "auto", *, status: Document | None = None) -> Document:
    metadata = {"name": name, "namespace": "lab", "labels": {"switchyard.dev/kind": "graph"}}
    spec: Document = {"nodes": {"root": {"routerType": "Sequence", "steps": []}}}
    return {"kind": "InferenceGraph", "metadata": metadata, "spec": spec, "status": status or {}}


def revision(
    of: str, *, actual: int | None = None, desired: int | None = None, ready: str = "True", port: str = ""
) -> Document:
    """A Revision of the Knative Service ``of``, its replicas as they are and as wanted, on a port so called."""
    status: Document = {"conditions": [{"type": "Ready", "status": ready}]}
    status |= {} if actual is None else {"actualReplicas": actual}
    status |= {} if desired is None else {"desiredReplicas": desired}
    metadata = {"name": f"{of}-00001", "namespace": "lab", "labels": {"serving.knative.dev/service": of}}
    ports = [{"containerPort": 8080, **({"name": port} if port else {})}]
    spec = {"containers": [{"name": "beside"}, {"name": "kserve-container", "ports": ports}]}
    return {"kind": "Revision", "metadata": metadata, "spec": spec, "status": status}


def conditions(**found: str) -> list[Document]:
    return [{"type": name, "status": status} for name, status in found.items()]


READY: Document = {"conditions": conditions(Ready="True")}
NOT_READY: Document = {"conditions": conditions(Ready="False")}
