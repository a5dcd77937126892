"""A ``CatalogSource`` for a namespace: informers keep it up to date in threads, readers never wait."""

import logging
import threading
from collections.abc import Callable

from switchyard.backoff import Backoff
from switchyard.catalog import Catalog, CatalogError
from switchyard.cluster import repository_status
from switchyard.cluster.api import Api, Resource
from switchyard.cluster.hosted_models import HostedModels
from switchyard.cluster.informer import Informer
from switchyard.cluster.objects import catalog_of, reads_published

logger = logging.getLogger(__name__)

SERVICES = Resource("serving.kserve.io", "v1beta1", "inferenceservices")
GRAPHS = Resource("serving.kserve.io", "v1alpha1", "inferencegraphs")
STATUS = Resource("", "v1", "configmaps", repository_status.NAME)
REVISIONS = Resource("serving.knative.dev", "v1", "revisions")


class ClusterCatalog:
    """The models of the namespace that ``api`` reads; its service account may get, list and watch the three resources,
    and the ConfigMap that a repository sync writes.

    While the API server is unreachable the last catalog stays. A cluster without Knative has no revisions; then
    KServe's own conditions count. ``patience`` is the longest pause in seconds between two attempts to reach the API
    server.
    """

    def __init__(
        self, api: Api, fetch_index: Callable[[str], list[str]] | None = None, *, patience: float = 15.0
    ) -> None:
        self._lock = threading.Lock()
        self._catalog = Catalog({})
        backoff = Backoff(first=0.2, most=patience)
        self._services = Informer(SERVICES, api, self._rebuild, backoff=backoff)
        self._graphs = Informer(GRAPHS, api, self._rebuild, backoff=backoff)
        self._revisions = Informer(REVISIONS, api, self._rebuild, backoff=backoff, optional=True)
        self._repository = Informer(STATUS, api, self._rebuild, backoff=backoff, optional=True)
        self._hosted_models = HostedModels(self._rebuild, fetch_index)
        self._synced = False
        self._logged: set[str] = set()  # so that each reason is logged once, not at every change

    def start(self) -> None:
        """Start to follow the API server."""
        for informer in (*self._informers, self._repository):
            threading.Thread(target=informer.run, name="catalog", daemon=True).start()

    def stop(self) -> None:
        """Stop following; the last catalog stays readable."""
        for informer in (*self._informers, self._repository):
            informer.stop()

    def current(self) -> Catalog:
        """Return the latest catalog.

        Raises:
            CatalogError: the API server has not listed everything yet.
        """
        if not self._synced:
            waiting = ", ".join(str(informer.resource) for informer in self._informers if not informer.synced)
            raise CatalogError(f"the API server has not listed {waiting} yet")
        return self._catalog

    @property
    def _informers(self) -> tuple[Informer, Informer, Informer]:
        return self._services, self._graphs, self._revisions

    def _rebuild(self) -> None:
        with self._lock:  # three informers and the fetches of indexes call this, each in a thread of its own
            if not all(informer.synced for informer in self._informers):
                return  # without revisions a sleeping service would look awake
            services, graphs, revisions = (list(informer.objects.values()) for informer in self._informers)
            errors: list[str] = []
            # Most clusters have no repository sync, so its status is not waited for.
            repository = repository_status.of(self._repository.objects.values(), errors.append)
            asked = [service for service in services if not (repository and reads_published(service))]
            self._hosted_models.follow(asked, revisions)
            hosted = self._hosted_models.models
            self._catalog = catalog_of(services, graphs, revisions, hosted, errors.append, repository)
            self._synced = True
            for reason in set(errors) - self._logged:
                logger.warning("not in the catalog", extra={"reason": reason})
            self._logged = set(errors)
