"""Those who asked that a model be loaded, and wait for how that ends."""

import asyncio
from collections.abc import Callable

from switchyard.http.api_errors import ApiError


class Loads:
    """The loads of one model that are waited for."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._draining: Callable[[], ApiError] | None = None

    def add(self) -> "asyncio.Future[None]":
        """Return what ends with the next load of the model.

        Raises:
            ApiError: nobody may wait any more.
        """
        if self._draining is not None:
            raise self._draining()
        load: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(load)
        return load

    def end(self, error: ApiError | None = None) -> None:
        """Tell all who wait that the model is loaded, or why it cannot be."""
        waiting, self._waiting = self._waiting, []
        for load in waiting:
            if load.done():  # who asked has disconnected
                continue
            if error is None:
                load.set_result(None)
            else:
                load.set_exception(error)

    def drain(self, error: Callable[[], ApiError]) -> None:
        """Tell all who wait, and all who will ask, that nobody loads the model any more."""
        self._draining = error
        self.end(error())
