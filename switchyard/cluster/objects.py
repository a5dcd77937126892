"""Derives the catalog from the objects of a namespace: documents in, a value out, no I/O."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from switchyard.catalog import (
    Catalog,
    CatalogError,
    Claim,
    Model,
    State,
    describe,
    hosts_repository,
    revision_of,
    settle,
)
from switchyard.catalog.repository import OLD_SERVED, with_repository
from switchyard.cluster.states import (
    existing_replicas,
    newest_failure,
    replicas_of,
    revisions_of,
    served_revisions,
    state_of,
)
from switchyard.repository.status import RepositoryStatus

PUBLISHED_CLAIM = "model-repository-published"  # components/model-sync
MODELS_ANNOTATION = "switchyard.dev/models"  # the models of a service that hosts a repository: "ocr,ocr-direction"
_HTTP2 = "h2c"
_HTTP_PORT = 80  # of the Kubernetes Service that Knative makes for each Knative Service

Document = Mapping[str, Any]


def catalog_of(
    services: Iterable[Document],
    graphs: Iterable[Document],
    revisions: Iterable[Document],
    hosted: Mapping[str, Iterable[str]],
    on_error: Callable[[str], None] = lambda reason: None,
    repository: RepositoryStatus | None = None,
) -> Catalog:
    """Return what InferenceServices and InferenceGraphs serve, in the state that Knative's Revisions show.

    ``hosted`` maps services that host a repository to their models, as far as these are known; for the other services
    the annotation ``switchyard.dev/models`` names them. An object that describes no model is left out and reported to
    ``on_error``, because in a shared namespace one bad object must not hide the others; so is a name of two owners.
    ``repository`` is what the repository sync says of the folders, None where there is none.
    """
    known = list(revisions)
    claims: list[Claim] = []
    for document in (*services, *graphs):
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp"):  # still listed while its finalizers run
            continue
        kind = "InferenceGraph" if "nodes" in (document.get("spec") or {}) else "InferenceService"
        owner, since = f"{kind} {metadata['name']}", metadata.get("creationTimestamp") or ""
        try:
            models = _models(document, known, hosted, repository)
            claims += [Claim(owner, model, model.name == metadata["name"], since) for model in models]
        except CatalogError as err:
            on_error(str(err))
    if repository:
        claims += _unserved(repository, {claim.model.name for claim in claims if claim.own})
    return settle(claims, on_error)


def address(document: Document) -> str:
    """Return the URL by which pods reach the object: its transformer if it has one, else its predictor.

    Source: KServe, ``pkg/constants/constants.go`` (names of components); the same for Knative and KServe's Standard
    mode.
    """
    return f"http://{_host(document)}"


def rpc_address(document: Document, revisions: Iterable[Document]) -> str:
    """Return ``host:port`` for gRPC calls to the object; empty if its pods do not speak HTTP/2.

    Knative opens one port and speaks HTTP/2 to it if it is called ``h2c``; our predictors take both protocols on it.
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
    """Return the name of the Knative Service of an InferenceService or InferenceGraph."""
    name: str = document["metadata"]["name"]
    if "nodes" in (document.get("spec") or {}):
        return name
    return f"{name}-{'transformer' if document['spec'].get('transformer') else 'predictor'}"


def reads_published(document: Document) -> bool:
    """Whether an InferenceService serves what the repository sync published, and nothing else."""
    storage = (document["spec"]["predictor"].get("model") or {}).get("storageUri") or ""
    return str(storage).partition("://")[2].partition("/")[0] == PUBLISHED_CLAIM


def _unserved(repository: RepositoryStatus, names: set[str]) -> Iterator[Claim]:
    """Return the language models that no service has: their folders say why."""
    for status in repository.of_group("llm"):
        pending = State(phase="pending", reason="its InferenceService is not there yet")
        model = with_repository(Model(name=status.name, kind=status.kind or "llm", url="", state=pending), status)
        if model.name not in names:
            yield Claim(f"folder llm/{status.name}", model, own=False)


def _models(
    document: Document,
    revisions: list[Document],
    hosted: Mapping[str, Iterable[str]],
    repository: RepositoryStatus | None,
) -> Iterator[Model]:
    state = state_of(document, workload(document), revisions)
    model = describe(document, url=address(document), grpc=rpc_address(document, revisions), state=state)
    # One that is deleted and made again begins to count its Revisions anew.
    of_object = document["metadata"].get("uid", ""), served_revisions(document)
    model = replace(model, revision=revision_of(model.revision, *of_object))
    if model.kind == "step":
        return
    if model.concurrency is not None:
        # One for a service that sleeps: its requests are held, and the first replica takes that many of them.
        replicas = max(1, replicas_of(workload(document), revisions))
        model = replace(model, concurrency=model.concurrency * replicas)
    if model.kind == "graph":
        yield model
        return
    # Of the predictor, which has the accelerators, also where a transformer takes the requests.
    model = replace(model, replicas=existing_replicas(f"{model.name}-predictor", revisions))
    folders = repository if repository and reads_published(document) else None
    if not hosts_repository(document):
        status = folders.find("llm", model.name) if folders else None
        found = with_repository(model, status) if status else model
        # The folder's own verdict on its newest content comes before what became of the one before it.
        yield replace(found, notice=found.notice or _notice(document, revisions))
        return
    if folders:
        statuses = {status.name: status for status in folders.of_group("vision")}
        for status in statuses.values():
            yield with_repository(replace(model, name=status.name, versions=()), status, statuses)
        return
    fetched = hosted.get(model.name)
    names = annotated(document) if fetched is None else fetched
    yield from (replace(model, name=name, versions=()) for name in sorted(names))


def _notice(document: Document, revisions: list[Document]) -> str:
    """Say that the newest of a service is not served, and why; empty if it is, or is on its way."""
    failure = newest_failure(document, revisions)
    if not failure:
        return ""
    return f"{OLD_SERVED if reads_published(document) else 'its newest revision is not served'}: {failure}"


def annotated(document: Document) -> list[str]:
    """Return the models in the annotation of a service that hosts a repository."""
    names = (document["metadata"].get("annotations") or {}).get(MODELS_ANNOTATION, "")
    return [name.strip() for name in names.split(",") if name.strip()]
