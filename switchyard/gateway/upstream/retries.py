"""Sends calls to models, and retries them while no response was seen."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from switchyard.backoff import Backoff
from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate
from switchyard.http.api_errors import NO_RETRY, ApiError
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import ConnectionClosedError, UpstreamError
from switchyard.http.headers import CLIENT_TO_MODEL, FORM_TO_MODEL, KEY_ID, LOG, TENANT, USAGE, Header

_UNAVAILABLE = frozenset((502, 503, 504))
# Three pauses of it are 0.35 s at most: four attempts end long before ``Retry.seconds``, unless connecting takes long.
_BACKOFF = Backoff(first=0.05, most=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """At most ``attempts`` in all, none started later than ``seconds`` after the first, with pauses between them."""

    attempts: int = 4
    seconds: float = 3.0
    backoff: Backoff = _BACKOFF


class _Attempts:
    """The remaining attempts of a call."""

    def __init__(self, retry: Retry, began: float) -> None:
        self._made = 1
        self._last = retry.attempts
        self._backoff = retry.backoff
        self._until = began + retry.seconds

    def pause(self, error: UpstreamError | None) -> float | None:
        """Return the seconds until the next attempt, None if there is none.

        After a fresh connection that closed without a byte of a response there is only one more: two such losses may
        mean that the request itself crashes the model.
        """
        if isinstance(error, ConnectionClosedError):
            self._last = min(self._last, self._made + 1)
        seconds = self._backoff.pause(self._made)
        if self._made >= self._last or asyncio.get_running_loop().time() + seconds > self._until:
            return None
        self._made += 1
        return seconds


class UpstreamRetries:
    """Sends calls to their models, and retries them while no response was seen.

    A call is retried when no connection could be made, and once when a fresh connection closed without a byte of a
    response. A call with a response is not retried, except a GET with 502, 503 or 504 without retry-after. Every
    attempt reads the catalog again, as a model's address can change.
    """

    def __init__(
        self, client: Client, locate: Locate, timeouts: Timeouts, retry: Retry, on_retry: Callable[[str], None]
    ) -> None:
        self._client = client
        self._locate = locate
        self._timeouts = timeouts
        self._retry = retry
        self._on_retry = on_retry

    async def open(self, call: Call) -> Response:
        """Send the request; return the response as soon as its headers have arrived.

        Raises:
            UpstreamError: there is no response.
            ApiError: the model was removed or failed meanwhile.
        """
        headers = _headers(call)
        began = asyncio.get_running_loop().time()  # not the call's arrival: a body may take longer than all attempts
        attempts: _Attempts | None = None
        while True:
            error: UpstreamError | None = None
            try:
                call.sent = True
                response = await self._client.request(
                    call.method, _url(call), headers, call.body, timeouts=self._timeouts
                )
            except UpstreamError as err:
                call.sent = False
                if not err.retryable:
                    raise
                error = err
            except asyncio.CancelledError:
                call.sent = self._is_awake(call)
                raise
            else:
                # A POST is never sent again after a response: the model may have done the work, and a second generation
                # costs an accelerator. With retry-after the model itself says when, and the client is the one to wait.
                if not (response.status in _UNAVAILABLE and call.method == b"GET") or _says_when(response):
                    return response
            attempts = attempts or _Attempts(self._retry, began)
            pause = attempts.pause(error)
            if pause is None:
                if error is not None:
                    raise error
                return response
            if error is None:
                response.close()
            await self._wait(call, pause)

    async def forward(self, call: Call, forward: Callable[[str, Sequence[Header]], Awaitable[None]]) -> None:
        """Forward a gRPC call by ``forward(target, metadata)``.

        Raises:
            UpstreamError: its model cannot be reached.
            ApiError: the model was removed or failed meanwhile.
        """
        metadata = _metadata(call)
        began = asyncio.get_running_loop().time()
        attempts: _Attempts | None = None
        while True:
            assert call.model is not None
            try:
                call.sent = True
                await forward(call.model.grpc, metadata)
                return
            except asyncio.CancelledError:
                call.sent = self._is_awake(call)
                raise
            except UpstreamError as err:
                call.sent = False
                attempts = attempts or _Attempts(self._retry, began)
                pause = attempts.pause(err) if err.retryable else None
                if pause is None:
                    raise
            await self._wait(call, pause)

    def _is_awake(self, call: Call) -> bool:
        """Return whether the model, and not only what wakes it, has had a call that its client has cut."""
        try:
            return self._locate(call.model_name, call.identity).state.phase == "ready"
        except ApiError:
            return False

    async def _wait(self, call: Call, seconds: float) -> None:
        self._on_retry(call.model_name)
        await asyncio.sleep(seconds)
        call.model = self._locate(call.model_name, call.identity)


def _says_when(response: Response) -> bool:
    name, never = NO_RETRY
    return response.header(b"retry-after") is not None or response.header(name) == never


def _metadata(call: Call) -> list[Header]:
    return CLIENT_TO_MODEL.passed(call.headers, _added(call))


def _added(call: Call) -> list[Header]:
    """Return what a model gets beside the client's headers: the call's id, whose it is, its span's trace context.

    Of a call that is counted it is asked what that used, of one that is logged for a line too.
    """
    added = [(b"x-request-id", call.request_id)]
    if call.identity is not None:
        added.append((TENANT, call.identity.tenant.encode()))
        added.append((KEY_ID, call.identity.key_id.encode()))
    if call.logged:
        added.append((LOG, b"1"))
    if call.settle is not None:
        added.append((USAGE, b"1"))
    added.extend(call.trace_context)
    return added


def _headers(call: Call) -> list[Header]:
    added = _added(call)
    if call.route.form is None:
        return CLIENT_TO_MODEL.passed(call.headers, added)
    return FORM_TO_MODEL.passed(call.headers, [*added, (b"content-type", b"application/json")])


def _url(call: Call) -> str:
    model, path = call.model, call.route.upstream
    assert model is not None
    if call.params:
        path = _path(path, model.name, call.params.get("version", ""))
    query = call.query if call.route.query else b""
    return model.url.rstrip("/") + path + (f"?{query.decode('latin-1')}" if query else "")


@lru_cache(1024)  # most models have one of each route
def _path(template: str, model: str, version: str) -> str:
    # Made from the route's row and the catalog's name, never from the path that was sent: no client can lead this
    # request to another path of the model. A version was checked when the route was matched.
    return template.replace("{version}", version).replace("{model}", quote(model, safe=""))
