"""The stores that an overlay brings along: StatefulSets, in whose place one machine has files."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from switchyard.local.plan.containers import Index
from switchyard.local.plan.graphs import DOMAIN

_URL = re.compile(r"rediss?://(?:[^@/\s]*@)?(?P<host>[a-z0-9.-]+)(?::\d+)?(?:/\d*)?")


class Stores:
    """The Redis servers among the documents, by the names that containers of a namespace have for them."""

    def __init__(self, index: Index, namespace: str, state: Path) -> None:
        self._files = {
            host: state / f"{document['metadata']['name']}.db"
            for document in index.of_kind("StatefulSet")
            if document["metadata"].get("namespace", "") == namespace
            for host in _hosts(str(document["spec"].get("serviceName", "")), namespace)
        }

    def localize(self, text: str) -> str:
        """Return the URL of the file in place of the URL of a Redis; whatever else the text is, it stays.

        Who names the same Redis shares a file, as both parts of a store may be in one (docs/concepts/store.md).
        """
        found = _URL.fullmatch(text)
        file = self._files.get(found["host"]) if found else None
        return text if file is None else f"sqlite://{quote(str(file))}"


def _hosts(service: str, namespace: str) -> Iterator[str]:
    yield service
    for domain in (namespace, f"{namespace}.svc", f"{namespace}.{DOMAIN}"):
        yield f"{service}.{domain}"
