"""The objects of an overlay, as references see them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from switchyard.catalog import hosts_repository
from switchyard.cluster.objects import annotated

Document = Mapping[str, Any]

# Kustomize knows this of Kubernetes' own kinds only.
CLUSTER_WIDE = frozenset(
    (
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterServingRuntime",
        "ClusterStorageContainer",
        "LocalModelCache",
        "LocalModelNodeGroup",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
    )
)
_HTTP = frozenset((80,))  # of the Kubernetes Service that Knative makes for each Knative Service


# Each kind of mistake has one remedy, said once for all its references.
TRANSFORMED = (
    "An overlay that sets `namespace` over one of ours lists kustomize/cluster-scoped and kustomize/namespaced-urls "
    "under `transformers`; the second has a line for each graph."
)
UNPREFIXED = (
    "Names of services are names of models, and stand in URLs and settings: leave namePrefix and nameSuffix out, and "
    "set `namespace`."
)


@dataclass(frozen=True, slots=True)
class Dangling:
    """A reference that leads nowhere: a sentence about it, and what to do if that is not clear from it."""

    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """What a host name of the namespace leads to: its ports, and its models, None if only the server knows them."""

    ports: frozenset[int]
    models: frozenset[str] | None = None


class Objects:
    """The documents of an overlay by kind, namespace and name; an object without a namespace has ``""``."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        self._keys = {
            (document["kind"], namespace_of(document), document["metadata"]["name"]) for document in documents
        }
        self.namespaces = {namespace for _, namespace, _ in self._keys} - {""}
        self.hosts = dict(_hosts(documents))
        self.models = frozenset().union(*(_models(document) for document in documents))

    def has(self, kind: str, namespace: str | None, name: str) -> bool:
        """Return whether there is such an object, in any namespace if ``namespace`` is None."""
        if kind in CLUSTER_WIDE:
            namespace = None  # that it carries one is said once, not at every reference
        return any(
            (kind, name) == (known, called) and namespace in (None, place) for known, place, called in self._keys
        )

    def similar(self, kind: str, name: str) -> str:
        """Return the name of an object that is ``name`` with a prefix, a suffix or both, or nothing."""
        return next((called for known, _, called in sorted(self._keys) if known == kind and name in called), "")

    def missing(self, text: str, kinds: tuple[str, ...], name: str) -> Dangling:
        """Return what ``text`` says; ``kinds`` are those of which an object may be there under a longer ``name``."""
        for kind in kinds:
            if (similar := self.similar(kind, name)) and similar != name:
                return Dangling(f"{text}; it has {kind} {similar}", UNPREFIXED)
        return Dangling(text)


def namespace_of(document: Document) -> str:
    return str(document["metadata"].get("namespace", ""))


def where(document: Document) -> str:
    """Return how messages name a document."""
    return f"{document['kind']} {document['metadata']['name']}"


def _hosts(documents: Sequence[Document]) -> Iterator[tuple[tuple[str, str], Host]]:
    """Yield each host name with its namespace, as the controllers of Kubernetes, KServe and Knative make them."""
    for document in documents:
        name, namespace, spec = document["metadata"]["name"], namespace_of(document), document.get("spec") or {}
        if document["kind"] == "Service":
            yield (name, namespace), Host(frozenset(port["port"] for port in spec.get("ports") or ()))
        elif document["kind"] == "InferenceGraph":
            yield (name, namespace), Host(_HTTP)
        elif document["kind"] == "InferenceService":
            served = Host(_HTTP, None if hosts_repository(document) else _models(document))
            yield (name, namespace), served
            for part in ("predictor", "transformer"):
                if part in spec:
                    yield (f"{name}-{part}", namespace), served


def _models(document: Document) -> frozenset[str]:
    """Return the names by which clients and graphs may ask for a model of this document."""
    if document["kind"] == "InferenceService" and hosts_repository(document):
        return frozenset(annotated(document))
    named = document["kind"] in ("InferenceService", "InferenceGraph")
    return frozenset((document["metadata"]["name"],)) if named else frozenset()
