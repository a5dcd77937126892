"""The models of services that host a repository, fetched from the services when they wake.

A request would keep a service awake, so each index is fetched once per wake-up, and never from a sleeping service.
"""

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence

from switchyard.catalog import hosts_repository
from switchyard.cluster.api import Document
from switchyard.cluster.objects import address, workload
from switchyard.cluster.states import state_of

logger = logging.getLogger(__name__)

_SECONDS = 10.0
_MAX_INDEX_BYTES = 1 << 20


class HostedModels:
    """The models of each service's last index; ``changed`` is called when an index differs from the last one.

    A failed fetch is retried after each of ``pauses`` seconds while the service is awake: a new service's replica is
    ready before its address is.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        fetch_index: Callable[[str], list[str]] | None = None,
        pauses: Sequence[float] = (1, 2, 5, 15, 60),
    ) -> None:
        self._changed = changed
        self._fetch_index = fetch_index or model_index
        self._pauses = pauses
        self._awake: set[str] = set()
        self._lock = threading.Lock()  # of changes to ``models``, which each come from the one before
        self.models: dict[str, list[str]] = {}

    def follow(self, services: Iterable[Document], revisions: Iterable[Document]) -> None:
        """Fetch the indexes of the services that woke since the last call."""
        known = list(revisions)
        hosts = {service["metadata"]["name"]: service for service in services if hosts_repository(service)}
        awake = {name for name, host in hosts.items() if state_of(host, workload(host), known).phase == "ready"}
        woke, self._awake = awake - self._awake, awake
        for name in woke:
            arguments = (name, address(hosts[name]))
            # A thread each, because this runs in an informer's, which must not wait for a model server.
            threading.Thread(target=self._fetch, args=arguments, name="repository-index", daemon=True).start()
        with self._lock:
            self.models = {name: models for name, models in self.models.items() if name in hosts}

    def _fetch(self, name: str, url: str) -> None:
        for pause in (*self._pauses, None):
            try:
                models = self._fetch_index(url)
                break
            except (OSError, ValueError, KeyError, TypeError) as err:
                reason = f"{type(err).__name__} {err}"
            if pause is not None:
                time.sleep(pause)
            if pause is None or name not in self._awake:
                logger.warning(
                    "the repository index of a service cannot be read", extra={"model": name, "reason": reason}
                )
                return
        logger.info("read the repository index of a service", extra={"model": name, "models": models})
        with self._lock:
            if models == self.models.get(name):
                return
            self.models = {**self.models, name: models}
        self._changed()


def model_index(url: str) -> list[str]:
    """Fetch the models of the repository at ``url`` by V2's model repository extension.

    Raises:
        OSError: there is no response in time.
        ValueError: the response is not an index.
    """
    request = urllib.request.Request(f"{url}/v2/repository/index", b"{}", {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310  (an address of our own making)
        rows = json.loads(response.read(_MAX_INDEX_BYTES))
    return sorted({str(row["name"]) for row in rows})
