"""A catalog that is asked for at most every few milliseconds."""

import time

from switchyard.catalog import Catalog, CatalogSource


class Recent:
    """What ``source`` gave within the last ``seconds``; a look at a file costs a twentieth of a small request."""

    def __init__(self, source: CatalogSource, seconds: float) -> None:
        self._source = source
        self._seconds = seconds
        self._until = 0.0
        self._catalog = Catalog({})

    def current(self) -> Catalog:
        now = time.monotonic()
        if now >= self._until:
            self._catalog = self._source.current()  # when it raises, the next caller asks again
            self._until = now + self._seconds
        return self._catalog
