"""What the repository sync writes into its namespace: one ConfigMap, and the InferenceServices that it keeps itself."""

import asyncio
import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from switchyard.backoff import ConsecutiveFailures
from switchyard.cluster import repository_status
from switchyard.cluster.api import ApiServerError, this_pod
from switchyard.cluster.objects import PUBLISHED_CLAIM
from switchyard.repository.publishing import OBJECTS
from switchyard.repository.service import DERIVED_LABEL, Place, UnservableError, derived
from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

DIGEST_ANNOTATION = "switchyard.dev/derived-digest"  # of the document that was written, so that it is written once

_MANAGER = "repository-sync"
_SERVICES = ("serving.kserve.io", "v1beta1")
_PLURAL = "inferenceservices"
_SECONDS = (5.0, 30.0)  # to connect, and for a response

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Derivation:
    """How services are derived: each predictor gets ``gpus``, and runs as ``account``."""

    gpus: int = 0
    scale_down_delay: str = "10m"
    account: str = "predictor"

    def document(self, model: ModelStatus) -> dict[str, Any] | None:
        """Return the service of a published language or embedding model; None where there is nothing to serve.

        It names one content, so a new content is a new revision, which takes over when it is ready. A link would not
        do: what it leads to is decided once for each pod, and kubelet makes a folder in place of one that is missing.
        """
        if model.group != "llm" or model.facts is None:
            return None
        place = Place(claim=PUBLISHED_CLAIM, gpus=self.gpus, scale_down_delay=self.scale_down_delay)
        try:
            document = derived(model.name, model.facts, place)
        except UnservableError:
            return None
        predictor = document["spec"]["predictor"]
        predictor["serviceAccountName"] = self.account
        predictor["model"]["storageUri"] = f"pvc://{PUBLISHED_CLAIM}/{OBJECTS}/llm/{model.name}/{model.digest}"
        text = json.dumps(document, sort_keys=True)
        document["metadata"]["annotations"][DIGEST_ANNOTATION] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return document


class Namespace:
    """The objects of one namespace, by calls that block."""

    def __init__(self, client: "ApiClient", namespace: str, derivation: Derivation) -> None:
        from kubernetes.client import ApiException, CoreV1Api, CustomObjectsApi

        self._core = CoreV1Api(client)
        self._objects = CustomObjectsApi(client)
        self._failed = ApiException
        self._namespace = namespace
        self._derivation = derivation

    def write(self, status: RepositoryStatus) -> None:
        """Bring the ConfigMap and the services of the platform's own in step with ``status``.

        Raises:
            ApiServerError: not all could be written.
        """
        from urllib3.exceptions import HTTPError

        try:
            self._write_services(status)
            data = repository_status.data(status)
            self._core.patch_namespaced_config_map(
                repository_status.NAME, self._namespace, {"data": data}, _request_timeout=_SECONDS
            )
        except self._failed as err:
            raise ApiServerError(f"the API server responded {err.status} {err.reason}") from err
        except (HTTPError, OSError, ValueError) as err:
            raise ApiServerError(f"{type(err).__name__} {err}") from err

    def _write_services(self, status: RepositoryStatus) -> None:
        found = self._objects.list_namespaced_custom_object(
            *_SERVICES, self._namespace, _PLURAL, _request_timeout=_SECONDS
        )
        metadata = {item["metadata"]["name"]: item["metadata"] for item in found["items"]}
        ours = {name for name, about in metadata.items() if DERIVED_LABEL in (about.get("labels") or {})}
        wanted = {model.name: document for model in status.models if (document := self._derivation.document(model))}
        for name, document in wanted.items():
            if name in metadata and name not in ours:
                continue  # a person wrote it
            written = (metadata.get(name, {}).get("annotations") or {}).get(DIGEST_ANNOTATION)
            if written != document["metadata"]["annotations"][DIGEST_ANNOTATION]:
                self._apply(name, document)
        for name in ours - wanted.keys():
            logger.info("removing the service of a model that is gone", extra={"model": name})
            self._objects.delete_namespaced_custom_object(
                *_SERVICES, self._namespace, _PLURAL, name, _request_timeout=_SECONDS
            )

    def _apply(self, name: str, document: dict[str, Any]) -> None:
        logger.info("writing the service of a model", extra={"model": name})
        self._objects.patch_namespaced_custom_object(
            *_SERVICES,
            self._namespace,
            _PLURAL,
            name,
            document,
            field_manager=_MANAGER,
            force=True,
            _content_type="application/apply-patch+yaml",
            _request_timeout=_SECONDS,
        )


class ClusterReporter:
    """Tells the cluster the status of the repository: the newest one, until it has it."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._failures = ConsecutiveFailures()
        self._newest = RepositoryStatus()
        self._written: RepositoryStatus | None = None
        self._changed = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def report(self, status: RepositoryStatus) -> None:
        """Take ``status``; it is written soon after, as often as it takes."""
        # Progress is not in it, and changes a few times a second.
        shown = RepositoryStatus(tuple(replace(model, progress=(0, 0), seconds=None) for model in status.models))
        if shown == self._newest and self._written is not None:
            return
        self._newest = shown
        self._changed.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Stop writing."""
        if self._writing:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing

    async def _write(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = self._newest
            try:
                await asyncio.to_thread(self._namespace.write, status)
            except (ApiServerError, StatusError) as err:
                logger.warning("the cluster is not told the status of the repository: %s", err)
                self._changed.set()
                await asyncio.sleep(self._failures.add())
                continue
            self._written = status
            self._failures.reset()


def reporter_of_this_pod(derivation: Derivation) -> ClusterReporter:
    """Return what tells the cluster that this pod runs in.

    Raises:
        ApiServerError: the pod has no service account token.
    """
    from kubernetes.client import ApiClient

    configuration, namespace = this_pod()
    return ClusterReporter(Namespace(ApiClient(configuration), namespace, derivation))
