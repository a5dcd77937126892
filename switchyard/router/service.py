"""Calls the service of a step."""

import asyncio
from dataclasses import replace

from switchyard.http.client import Client, Deadlines, Response
from switchyard.http.errors import ClosedEarly, UpstreamError
from switchyard.router.answer import Answer
from switchyard.router.errors import GraphFailure, Unreachable
from switchyard.router.mesh import Mesh
from switchyard.router.meter import StepMeter
from switchyard.router.request import Request
from switchyard.router.retry import UNAVAILABLE, Budget, Retry

CONNECT_SECONDS = 5.0


class Service:
    """One URL; ``seconds`` bound the wait for its answer's head and then each pause within it, or None.

    A URL without a path gets the request's own method, path and query, any other a POST, as KServe's router sends.
    """

    def __init__(
        self, url: str, *, label: str, client: Client, mesh: Mesh, retry: Retry, seconds: float | None, meter: StepMeter
    ) -> None:
        self._url = url
        self._label = label
        self._client = client
        self._mesh = mesh if url.startswith("https:") else None
        self._retry = retry
        self._budget = Budget()
        self._seconds = seconds
        self._meter = meter
        self._open = "/" not in url.partition("://")[2] and "?" not in url
        connect = CONNECT_SECONDS if seconds is None else min(CONNECT_SECONDS, seconds)
        self._deadlines = Deadlines(connect=connect, first_byte=seconds, idle=seconds)

    async def run(self, request: Request, body: bytes) -> Answer:
        """Sends ``body`` and returns the answer once its head is there.

        Raises:
            GraphFailure: there is no answer.
        """
        url, method = self._url, b"POST"
        if self._open:
            url, method = url + request.target.decode("latin-1"), request.method
        if self._mesh is not None:
            url = await self._mesh.plain(url)
        due = None if self._seconds is None else asyncio.get_running_loop().time() + self._seconds
        try:
            response = await self._ask(method, url, request, body, due)
        except UpstreamError as err:
            raise Unreachable(f"{self._label}: {err}") from err
        except ValueError as err:
            raise GraphFailure(400, f"{self._label}: {err}") from err
        return Answer(response.status, response.headers, response=response, source=self._label, due=due)

    async def _ask(self, method: bytes, url: str, request: Request, body: bytes, due: float | None) -> Response:
        self._budget.earn()
        deadlines, attempt, last = self._deadlines, 1, self._retry.attempts
        while True:
            try:
                response = await self._client.request(method, url, request.headers, body, deadlines=deadlines)
            except UpstreamError as err:
                if not err.retryable or not self._may_repeat(attempt, last, due):
                    raise
                if isinstance(err, ClosedEarly):
                    last = attempt + 1  # twice could mean that the request itself brings the service down
            else:
                if response.status not in UNAVAILABLE or response.header(b"retry-after") is not None:
                    return response
                if not self._may_repeat(attempt, last, due):
                    return response
                response.close()
            self._meter.repeated()
            await asyncio.sleep(self._retry.wait(attempt))
            attempt += 1
            if due is not None:
                left = max(0.001, due - asyncio.get_running_loop().time())
                deadlines = replace(self._deadlines, connect=min(CONNECT_SECONDS, left), first_byte=left)

    def _may_repeat(self, attempt: int, last: int, due: float | None) -> bool:
        if attempt >= last:
            return False
        if due is not None and asyncio.get_running_loop().time() + self._retry.longest >= due:
            return False
        return self._budget.spend()
