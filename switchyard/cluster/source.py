"""The catalog of a namespace as a ``CatalogSource``: kept up to date by threads, read without waiting."""

import logging
import threading
from collections.abc import Callable

from switchyard.catalog import Catalog, CatalogError
from switchyard.cluster.api import Api, Resource
from switchyard.cluster.hosted_models import Repositories
from switchyard.cluster.informer import Mirror
from switchyard.cluster.objects import catalog_of

log = logging.getLogger(__name__)

SERVICES = Resource("serving.kserve.io", "v1beta1", "inferenceservices")
GRAPHS = Resource("serving.kserve.io", "v1alpha1", "inferencegraphs")
REVISIONS = Resource("serving.knative.dev", "v1", "revisions")


class ClusterCatalog:
    """What the namespace that ``api`` reads serves; the service account may get, list and watch the three resources.

    While the API server is away the last catalog stays. A cluster without Knative has no revisions; KServe's own
    conditions then count. ``patience`` is the longest wait in seconds until it is asked again.
    """

    def __init__(self, api: Api, ask: Callable[[str], list[str]] | None = None, *, patience: float = 15.0) -> None:
        self._lock = threading.Lock()
        self._catalog = Catalog({})
        self._services = Mirror(SERVICES, api, self._rebuild, last=patience)
        self._graphs = Mirror(GRAPHS, api, self._rebuild, last=patience)
        self._revisions = Mirror(REVISIONS, api, self._rebuild, last=patience, optional=True)
        self._repositories = Repositories(self._rebuild, ask)
        self._synced = False
        self._refused: set[str] = set()  # said once, not at every change

    def start(self) -> None:
        """Begins to follow the API server."""
        for mirror in self._mirrors:
            threading.Thread(target=mirror.run, name="catalog", daemon=True).start()

    def stop(self) -> None:
        """Stops following; what is known stays readable."""
        for mirror in self._mirrors:
            mirror.stop()

    def current(self) -> Catalog:
        """The catalog as last heard.

        Raises:
            CatalogError: the API server has not listed everything yet.
        """
        if not self._synced:
            waiting = ", ".join(str(one.resource) for one in self._mirrors if not one.synced)
            raise CatalogError(f"the API server has not listed {waiting} yet")
        return self._catalog

    @property
    def _mirrors(self) -> tuple[Mirror, Mirror, Mirror]:
        return self._services, self._graphs, self._revisions

    def _rebuild(self) -> None:
        with self._lock:
            if not all(one.synced for one in self._mirrors):
                return  # without its revisions a sleeping service would look awake
            services, graphs, revisions = (list(one.objects.values()) for one in self._mirrors)
            self._repositories.follow(services, revisions)
            refused: list[str] = []
            self._catalog = catalog_of(services, graphs, revisions, self._repositories.models, refused.append)
            self._synced = True
            for reason in set(refused) - self._refused:
                log.warning("not in the catalog", extra={"reason": reason})
            self._refused = set(refused)
