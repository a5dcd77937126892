"""The models of services that host a repository, asked from the services themselves when they wake.

A request would keep a service awake, so each is asked once per waking, and never woken to be asked.
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

log = logging.getLogger(__name__)

_SECONDS = 10.0
_LONGEST_ANSWER = 1 << 20


class Repositories:
    """What each such service last said that it has; ``changed`` is called when one said something else.

    One that does not answer is asked again after each of ``pauses`` seconds while it is awake: when a service is new,
    its replica is ready before its address is.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        ask: Callable[[str], list[str]] | None = None,
        pauses: Sequence[float] = (1, 2, 5, 15, 60),
    ) -> None:
        self._changed = changed
        self._ask = ask or model_index
        self._pauses = pauses
        self._awake: set[str] = set()
        self.models: dict[str, list[str]] = {}

    def follow(self, services: Iterable[Document], revisions: Iterable[Document]) -> None:
        """Asks the services that woke since the last call."""
        known = list(revisions)
        hosts = {one["metadata"]["name"]: one for one in services if hosts_repository(one)}
        awake = {name for name, one in hosts.items() if state_of(one, workload(one), known).phase == "ready"}
        woke, self._awake = awake - self._awake, awake
        for name in woke:
            asking = (name, address(hosts[name]))
            threading.Thread(target=self._learn, args=asking, name="repository-index", daemon=True).start()
        self.models = {name: models for name, models in self.models.items() if name in hosts}

    def _learn(self, name: str, url: str) -> None:
        for pause in (*self._pauses, None):
            try:
                models = self._ask(url)
                break
            except (OSError, ValueError, KeyError, TypeError) as err:
                reason = f"{type(err).__name__} {err}"
            if pause is not None:
                time.sleep(pause)
            if pause is None or name not in self._awake:
                log.warning("a service did not say what it hosts", extra={"asked": name, "reason": reason})
                return
        log.info("a service said what it hosts", extra={"asked": name, "models": models})
        if models != self.models.get(name):
            self.models = {**self.models, name: models}
            self._changed()


def model_index(url: str) -> list[str]:
    """The models of the repository that the server at ``url`` serves, by V2's model repository extension.

    Raises:
        OSError: there is no answer in time.
        ValueError: the answer is no index.
    """
    request = urllib.request.Request(f"{url}/v2/repository/index", b"{}", {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  (an address that we made)
        rows = json.loads(answer.read(_LONGEST_ANSWER))
    return sorted({str(row["name"]) for row in rows})
