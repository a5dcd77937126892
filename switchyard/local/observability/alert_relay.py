"""Passes alerts on to the run's webhook: Alertmanager shows its configuration to whoever asks, so it has no address."""

import asyncio
import hmac
import logging
import ssl

from switchyard.http.client import Client, Limits
from switchyard.http.client.errors import UpstreamError
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError
from switchyard.http.server import Exchange

PATH = "/alerts"

_SECONDS = 10.0  # for one message; Alertmanager itself repeats what failed
_BODY_BYTES = 4 << 20  # a message has the alerts of one group, at some 1 kB each
_IN_FLIGHT = 4  # three receivers as shipped, and a message of theirs that is repeated
_RESPONSE_BYTES = 64 * 1024  # nothing of it is used

logger = logging.getLogger(__name__)


class AlertRelay:
    """The handler of ``POST /alerts``: it takes messages that have ``key``, and sends them to ``url`` as they are.

    The status is the webhook's own, so that Alertmanager repeats what it would have: 5xx, also where there is none.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._authorization = f"Bearer {key}".encode()
        self._in_flight = 0

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if not hmac.compare_digest(exchange.fields.get(b"authorization", b""), self._authorization):
            exchange.respond(401, [])
        elif exchange.method != b"POST":
            exchange.respond(405, [(b"allow", b"POST")])
        elif self._in_flight >= _IN_FLIGHT:
            exchange.respond(503, [])
        else:
            self._in_flight += 1
            try:
                exchange.respond(await self._relayed(exchange), [])
            finally:
                self._in_flight -= 1

    async def _relayed(self, exchange: Exchange) -> int:
        try:
            async with asyncio.timeout(_SECONDS):
                status = await self._sent(await exchange.body(_BODY_BYTES))
        except BodyTooLargeError:
            logger.error("an alert's message is larger than %d bytes, and was not sent", _BODY_BYTES)
            return 413
        except (BadRequestError, BodyTooSlowError):
            return 400
        except (TimeoutError, OSError, UpstreamError, ValueError) as err:
            # Never the error's text, which may have the address.
            logger.warning("the webhook of alerts does not respond: %s", type(err).__name__)
            return 502
        if 200 <= status < 300:
            return 200
        logger.warning("the webhook of alerts responds with %d", status)
        return status if status >= 400 else 502  # a redirect is not followed: it may lead anywhere

    async def _sent(self, body: bytes) -> int:
        # It reads all authorities, for 20 ms.
        tls = await asyncio.to_thread(ssl.create_default_context) if self._url.startswith("https:") else None
        client = Client(Limits(response_bytes=_RESPONSE_BYTES), tls)
        try:
            response = await client.request(b"POST", self._url, [(b"content-type", b"application/json")], body)
            response.close()
            return response.status
        finally:
            await client.aclose()
