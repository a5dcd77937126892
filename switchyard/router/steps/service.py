"""The target of a step that is a service: one HTTP call, retried."""

import asyncio
from dataclasses import replace

from switchyard.http.api_errors import NO_RETRY
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import ConnectionClosedError, UpstreamError
from switchyard.http.headers import Header
from switchyard.router.errors import GraphRequestError, StepUnreachableError
from switchyard.router.meter import StepMeter
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.response import StepResponse
from switchyard.router.steps.retry import UNAVAILABLE, Retry, RetryBudget

CONNECT_SECONDS = 5.0
_Call = tuple[bytes, str, list[Header], bytes]


class ServiceTarget:
    """Calls one URL; ``seconds`` bound the wait for its response headers and each pause within the body, or None.

    As in KServe's router, a URL without a path gets the method, path and query of the client's request; any other URL
    gets a POST.
    """

    def __init__(
        self,
        url: str,
        *,
        label: str,
        client: Client,
        istio_sidecar: IstioSidecar,
        retry: Retry,
        seconds: float | None,
        meter: StepMeter,
    ) -> None:
        self._url = url
        self._label = label
        self._client = client
        self._istio_sidecar = istio_sidecar if url.startswith("https:") else None
        self._retry = retry
        self._budget = RetryBudget()  # of this step: retries of one service must not use up those of another
        self._seconds = seconds
        self._meter = meter
        self._open = "/" not in url.partition("://")[2] and "?" not in url
        connect = CONNECT_SECONDS if seconds is None else min(CONNECT_SECONDS, seconds)
        self._timeouts = Timeouts(connect=connect, first_byte=seconds, idle=seconds)

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Send ``body`` and return the response once its headers are complete.

        Raises:
            GraphRequestError: there is no response.
        """
        url, method = self._url, b"POST"
        if self._open:
            url, method = url + request.target.decode("latin-1"), request.method
        if self._istio_sidecar is not None:
            url = await self._istio_sidecar.plain_url(url)
        # One deadline for all attempts: retries must not make a client wait longer than it was promised.
        deadline = None if self._seconds is None else asyncio.get_running_loop().time() + self._seconds
        self._budget.earn()
        outcome: Response | UpstreamError
        try:
            outcome = await self._client.request(method, url, request.headers, body, timeouts=self._timeouts)
        except UpstreamError as err:
            outcome = err
        except ValueError as err:  # the client's target or headers: the step's own URL was checked at the start
            raise GraphRequestError(400, f"{self._label}: {err}", "invalid_http") from err
        if isinstance(outcome, UpstreamError) or outcome.status in UNAVAILABLE:
            outcome = await self._retried(outcome, deadline, (method, url, request.headers, body))
        return StepResponse(outcome.status, outcome.headers, upstream=outcome, source=self._label, deadline=deadline)

    async def _retried(self, outcome: Response | UpstreamError, deadline: float | None, call: _Call) -> Response:
        """Retry while the attempts, the deadline and the budget allow it; return the last response."""
        attempt, last = 1, self._retry.attempts
        while attempt < last and _is_retryable(outcome) and self._in_time(deadline) and self._budget.spend():
            if isinstance(outcome, Response):
                outcome.close()
            elif isinstance(outcome, ConnectionClosedError):
                last = attempt + 1  # the request itself may be what crashes the service
            self._meter.retried()
            await asyncio.sleep(self._retry.backoff.pause(attempt))
            attempt += 1
            try:
                outcome = await self._client.request(*call, timeouts=self._timeouts_until(deadline))
            except UpstreamError as err:
                outcome = err
        if isinstance(outcome, UpstreamError):
            raise StepUnreachableError(f"{self._label}: {outcome}") from outcome
        return outcome

    def _in_time(self, deadline: float | None) -> bool:
        # A retry that could only begin after the deadline would delay the error, and change nothing.
        return deadline is None or asyncio.get_running_loop().time() + self._retry.backoff.most < deadline

    def _timeouts_until(self, deadline: float | None) -> Timeouts:
        if deadline is None:
            return self._timeouts
        remaining = max(0.001, deadline - asyncio.get_running_loop().time())
        return replace(self._timeouts, connect=min(CONNECT_SECONDS, remaining), first_byte=remaining)


def _is_retryable(outcome: Response | UpstreamError) -> bool:
    """Whether a retry may succeed soon; one that sends retry-after asks for a later one, or for none."""
    if isinstance(outcome, UpstreamError):
        return outcome.retryable
    name, never = NO_RETRY
    return outcome.status in UNAVAILABLE and outcome.header(b"retry-after") is None and outcome.header(name) != never
