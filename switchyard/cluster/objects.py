"""The catalog that the objects of a namespace describe. No input or output: documents come in, a value goes out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from switchyard.catalog import Catalog, CatalogError, Model, describe, hosts_repository
from switchyard.cluster.states import revisions_of, state_of

MODELS_ANNOTATION = "switchyard.dev/models"  # what a service that hosts a repository answers for: "ocr,ocr-direction"
_HTTP2 = "h2c"
_HTTP_PORT = 80  # of the Service that Knative makes for each of its own

Document = Mapping[str, Any]


def catalog_of(
    services: Iterable[Document],
    graphs: Iterable[Document],
    revisions: Iterable[Document],
    hosted: Mapping[str, Iterable[str]],
    refused: Callable[[str], None] = lambda reason: None,
) -> Catalog:
    """What InferenceServices and InferenceGraphs serve, in the state that Knative's Revisions tell.

    ``hosted`` are the models of services that host a repository, as far as these have told; the annotation
    ``switchyard.dev/models`` names those of the others. An object that describes no model is left out, and ``refused``
    hears why: in a namespace that others use too, it must not hide the rest.
    """
    known = list(revisions)
    models: dict[str, Model] = {}
    for document in (*services, *graphs):
        if document["metadata"].get("deletionTimestamp"):
            continue
        try:
            for model in _models(document, known, hosted):
                models.setdefault(model.name, model)
        except CatalogError as err:
            refused(str(err))
    return Catalog(models)


def address(document: Document) -> str:
    """The URL by which pods reach the object: of a service's transformer if it has one, else of its predictor.

    Source: KServe, ``pkg/constants/constants.go`` (names of components); Knative and KServe's Standard mode alike.
    """
    return f"http://{_host(document)}"


def rpc_address(document: Document, revisions: Iterable[Document]) -> str:
    """Where gRPC calls to the object go, as ``host:port``; empty if its pods do not take HTTP/2.

    Knative opens one port, and speaks HTTP/2 to it if that is called ``h2c``; our predictors take both on it.
    Source: https://knative.dev/docs/serving/services/http-protocol/
    """
    for revision in revisions_of(workload(document), revisions):
        for container in (revision.get("spec") or {}).get("containers") or ():
            if any(port.get("name") == _HTTP2 for port in container.get("ports") or ()):
                return f"{_host(document)}:{_HTTP_PORT}"
    return ""


def _host(document: Document) -> str:
    return f"{workload(document)}.{document['metadata'].get('namespace', '')}.svc.cluster.local"


def workload(document: Document) -> str:
    """The name of the Knative Service that answers for an InferenceService or InferenceGraph."""
    name: str = document["metadata"]["name"]
    if "nodes" in (document.get("spec") or {}):
        return name
    return f"{name}-{'transformer' if document['spec'].get('transformer') else 'predictor'}"


def _models(document: Document, revisions: list[Document], hosted: Mapping[str, Iterable[str]]) -> Iterator[Model]:
    state = state_of(document, workload(document), revisions)
    model = describe(document, url=address(document), grpc=rpc_address(document, revisions), state=state)
    if model.kind == "step":
        return
    if model.kind == "graph" or not hosts_repository(document):
        yield model
        return
    told = hosted.get(model.name)
    names = annotated(document) if told is None else told
    yield from (replace(model, name=name) for name in sorted(names))


def annotated(document: Document) -> list[str]:
    """The models that the annotation of a service that hosts a repository names."""
    names = (document["metadata"].get("annotations") or {}).get(MODELS_ANNOTATION, "")
    return [name.strip() for name in names.split(",") if name.strip()]
