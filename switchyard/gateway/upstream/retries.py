"""Opening an upstream answer, with repeats while nothing of one has been seen."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from switchyard.gateway.context import Context
from switchyard.gateway.lookup import Locate
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import ConnectionClosedError, UpstreamError
from switchyard.http.headers import NOT_FORWARDED, filtered

# A client's credentials are for this door; predictors take none.
_DROPPED = NOT_FORWARDED | {b"authorization", b"x-api-key", b"cookie", b"x-request-id"}
_DROPPED_FROM_FORMS = _DROPPED | {b"content-type", b"accept", b"accept-encoding"}
_UNAVAILABLE = frozenset((502, 503, 504))


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """At most ``attempts`` in all, none begun later than ``seconds`` after the first; pauses double from ``pause``."""

    attempts: int = 4
    seconds: float = 3.0
    pause: float = 0.05


class Opener:
    """Sends a request to its model and returns the answer's head.

    A request is repeated when no connection could be made, and once when a fresh connection closed without a byte of an
    answer (twice could mean that the request itself brings the model down). An answer is never asked for again, except
    502, 503 and 504 without retry-after to a GET. Every attempt reads the catalog anew: models move.
    """

    def __init__(
        self, client: Client, locate: Locate, timeouts: Timeouts, retry: Retry, on_retry: Callable[[str], None]
    ) -> None:
        self._client = client
        self._locate = locate
        self._timeouts = timeouts
        self._retry = retry
        self._on_retry = on_retry

    async def open(self, context: Context) -> Response:
        """The answer, its body unread.

        Raises:
            UpstreamError: there is none.
            ApiError: the model vanished or failed meanwhile.
        """
        headers = _headers(context)
        method = context.scope["method"].encode("ascii")
        attempt, last = 0, self._retry.attempts
        until = context.started + self._retry.seconds
        while True:
            attempt += 1
            pause = self._retry.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            over = attempt >= last or asyncio.get_running_loop().time() + pause > until
            try:
                response = await self._client.request(
                    method, _url(context), headers, context.body, timeouts=self._timeouts
                )
            except UpstreamError as err:
                if over or not err.retryable:
                    raise
                if isinstance(err, ConnectionClosedError):
                    last = attempt + 1
            else:
                refused = response.status in _UNAVAILABLE and method == b"GET"
                if over or not refused or response.header(b"retry-after") is not None:
                    return response
                response.close()
            self._on_retry(context.model_name)
            await asyncio.sleep(pause)
            context.model = self._locate(context.model_name)


def _headers(context: Context) -> list[tuple[bytes, bytes]]:
    form = context.route.form
    headers = filtered(context.headers, _DROPPED if form is None else _DROPPED_FROM_FORMS)
    headers.append((b"x-request-id", context.request_id))
    if form is not None:
        headers.append((b"content-type", b"application/json"))
    if context.span is not None and context.span.traceparent is not None:
        headers = [header for header in headers if header[0] != b"traceparent"]
        headers.append((b"traceparent", context.span.traceparent.encode()))
    return headers


def _url(context: Context) -> str:
    model, path = context.model, context.route.upstream
    assert model is not None
    if context.params:
        path = path.replace("{version}", context.params.get("version", ""))
        path = path.replace("{model}", quote(model.name, safe=""))
    query = context.scope["query_string"] if context.route.query else b""
    return model.url.rstrip("/") + path + (f"?{query.decode('latin-1')}" if query else "")
