"""A copy of all objects of one resource, kept by the API server's list-and-watch protocol.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from switchyard.cluster.api import Absent, Api, ApiError, Document, Event, Gone, Resource

log = logging.getLogger(__name__)

_ABSENT_SECONDS = 30.0  # until a resource that the cluster lacks is looked for again
_WORTHWHILE_SECONDS = 1.0
_DOUBTFUL = 4  # failures in a row, after which the version to watch from is not trusted


class Mirror:
    """Objects by name as the API server has them; the last known ones while it is away.

    ``run`` blocks, so a thread of its own runs it; ``changed`` is called there and must be quick. With ``optional`` a
    cluster without the resource counts as one without objects. Waits between failures grow from ``first`` to ``last``
    seconds.
    """

    def __init__(
        self,
        resource: Resource,
        api: Api,
        changed: Callable[[], None],
        *,
        optional: bool = False,
        first: float = 0.2,
        last: float = 15.0,
    ) -> None:
        self.resource = resource
        self._api = api
        self._changed = changed
        self._optional = optional
        self._first, self._last = first, last
        self._stop = threading.Event()
        self._version: str | None = None
        self.objects: dict[str, Document] = {}
        self.synced = False

    def stop(self) -> None:
        """Ends ``run`` soon: at the next event or, in a quiet stream, when the server ends it."""
        self._stop.set()

    def run(self) -> None:
        """Follows the API server until stopped, whatever happens."""
        while not self._stop.is_set():
            try:
                self._run()
            except Exception:  # this thread's outermost frame: without it the catalog would stand still unseen
                log.exception("an object was not understood; listing again", extra={"resource": str(self.resource)})
                self._version = None
                self._stop.wait(self._last)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if self._version is None:
                    self._list()
                if self._follow():
                    failures = 0
                    continue
                failures += 1  # a server that takes watches and ends them at once is as good as one that is away
            except Gone:
                self._version = None
                failures += 1
                if failures == 1:
                    continue
            except ApiError as err:
                if isinstance(err, Absent) and self._optional and not self.objects:
                    self._without()
                    continue
                failures += 1
                if failures == 1 and not self._stop.is_set():
                    log.warning("the API server is away; the last catalog stays", extra={"reason": str(err)})
                if failures >= _DOUBTFUL:
                    self._version = None  # a server restored from a backup counts versions anew
            self._stop.wait(self._delay(failures))

    def _without(self) -> None:
        """The cluster lacks the resource, as far as is known; one that was there is only not served for a moment."""
        if not self.synced:
            self._replace({})
        self._version = None
        self._stop.wait(_ABSENT_SECONDS)

    def _list(self) -> None:
        listing = self._api.list(self.resource)
        self._replace({one["metadata"]["name"]: one for one in listing.items})
        self._version = listing.version

    def _follow(self) -> bool:
        """Applies changes until the stream ends; says whether it was worth its while."""
        assert self._version is not None
        began, heard = time.monotonic(), False
        for event in self._api.watch(self.resource, self._version):
            if self._stop.is_set():
                break
            self._apply(event)
            heard = True
        return heard or time.monotonic() - began > _WORTHWHILE_SECONDS

    def _apply(self, event: Event) -> None:
        metadata: Any = event.object.get("metadata") or {}
        if event.kind == "DELETED":
            self._replace({name: one for name, one in self.objects.items() if name != metadata["name"]})
        elif event.kind != "BOOKMARK":
            self._replace({**self.objects, metadata["name"]: event.object})
        self._version = metadata.get("resourceVersion", self._version)

    def _replace(self, objects: dict[str, Document]) -> None:
        self.objects, self.synced = objects, True  # readers in other threads see the old or the new ones
        self._changed()

    def _delay(self, failures: int) -> float:
        """Twice as long each time, and never the same for all replicas of a gateway."""
        longest = min(self._last, self._first * 2.0 ** min(failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  (not for secrets)
