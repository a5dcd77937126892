"""A catalog that is read from its source at most every few milliseconds."""

import time

from switchyard.catalog import Catalog, CatalogSource


class CachedCatalog:
    """Reads ``source`` at most every ``seconds``; reading a file costs a twentieth of a small request."""

    def __init__(self, source: CatalogSource, seconds: float) -> None:
        self._source = source
        self._seconds = seconds
        self._until = 0.0
        self._catalog = Catalog({})

    def current(self) -> Catalog:
        now = time.monotonic()
        if now >= self._until:
            self._catalog = self._source.current()  # when it raises, the next caller reads again
            self._until = now + self._seconds
        return self._catalog
