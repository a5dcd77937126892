"""A copy of all objects of one resource, kept by the API server's list-and-watch protocol.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from switchyard.backoff import Backoff
from switchyard.cluster.api import (
    Api,
    ApiServerError,
    Document,
    Event,
    Resource,
    ResourceNotFoundError,
    VersionExpiredError,
)

logger = logging.getLogger(__name__)

_MISSING_SECONDS = 30.0  # until a resource that the cluster does not have is listed again
_USEFUL_SECONDS = 1.0
_RELIST_AFTER = 4  # failures in a row, after which the version to watch from is no longer trusted


class Informer:
    """Objects by name as the API server has them; the last known ones while it is unreachable.

    ``run`` blocks, so run it in a thread; it calls ``changed`` there, which must be quick. With ``optional`` a cluster
    without the resource counts as one without objects. ``backoff`` is waited
    between failures.
    """

    def __init__(
        self,
        resource: Resource,
        api: Api,
        changed: Callable[[], None],
        *,
        optional: bool = False,
        backoff: Backoff,
    ) -> None:
        self.resource = resource
        self._api = api
        self._changed = changed
        self._optional = optional
        self._backoff = backoff
        self._stop = threading.Event()
        self._version: str | None = None
        self.objects: dict[str, Document] = {}
        self.synced = False

    def stop(self) -> None:
        """End ``run`` soon: at the next event or, in a quiet stream, when the server ends it."""
        self._stop.set()

    def run(self) -> None:
        """Follow the API server until stopped; survives every error."""
        while not self._stop.is_set():
            try:
                self._run()
            except Exception:  # the thread's outermost frame: without this, the catalog would stop changing silently
                logger.exception("an object cannot be read; listing again", extra={"resource": str(self.resource)})
                self._version = None
                self._stop.wait(self._backoff.most)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if self._version is None:
                    self._list()
                if self._follow():
                    failures = 0
                    continue
                failures += 1  # a server that ends watches at once counts as unreachable
            except VersionExpiredError:
                self._version = None
                failures += 1
                if failures == 1:
                    continue
            except ApiServerError as err:
                if isinstance(err, ResourceNotFoundError) and self._optional and not self.objects:
                    self._count_as_empty()
                    continue
                failures += 1
                if failures == 1 and not self._stop.is_set():
                    logger.warning(
                        "the API server is unreachable; keeping the last catalog", extra={"reason": str(err)}
                    )
                if failures >= _RELIST_AFTER:
                    self._version = None  # a server restored from a backup restarts its versions
            self._stop.wait(self._backoff.pause(failures))

    def _count_as_empty(self) -> None:
        """Count a missing resource as one without objects if it was never listed; a known one may come back."""
        if not self.synced:
            self._replace({})
        self._version = None
        self._stop.wait(_MISSING_SECONDS)

    def _list(self) -> None:
        listing = self._api.list(self.resource)
        self._replace({item["metadata"]["name"]: item for item in listing.items})
        self._version = listing.version

    def _follow(self) -> bool:
        """Apply changes until the stream ends; return whether it brought an event or lasted long enough."""
        assert self._version is not None
        began, received = time.monotonic(), False
        for event in self._api.watch(self.resource, self._version):
            if self._stop.is_set():
                break
            self._apply(event)
            received = True
        return received or time.monotonic() - began > _USEFUL_SECONDS

    def _apply(self, event: Event) -> None:
        metadata: Any = event.object.get("metadata") or {}
        # A new dictionary for each change: other threads iterate over the one that they have.
        if event.kind == "DELETED":
            self._replace({name: item for name, item in self.objects.items() if name != metadata["name"]})
        elif event.kind != "BOOKMARK":
            self._replace({**self.objects, metadata["name"]: event.object})
        self._version = metadata.get("resourceVersion", self._version)

    def _replace(self, objects: dict[str, Document]) -> None:
        self.objects, self.synced = (
            objects,
            True,
        )  # one assignment: readers in other threads see the old objects or the new ones
        self._changed()
