"""The HTTP endpoint of every service: holds requests to models that sleep, wake or are full, and sends them on.

It is in the path of every request, as Knative's activator is with target-burst-capacity -1, and enforces
containerConcurrency as its queue-proxy does. One listening socket per service tells whose request it is.
"""

import asyncio
import logging
import re
from collections.abc import Mapping

from switchyard.http.api_errors import ApiError, of_body
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import CLIENT_TO_REPLICA, REPLICA_TO_CLIENT
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError
from switchyard.http.server import Exchange
from switchyard.http.server.relay import relay
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address

BODY_BYTES = 64 * 1024 * 1024

# A request whose replica died before the first byte of an answer is sent again, this often in all.
ATTEMPTS = 3

_PROBES = re.compile(rb"/v2/health/.*|/metrics|/v2/models/[^/]+(?:/versions/[^/]+)?/ready")

logger = logging.getLogger(__name__)


class Door:
    """One service behind its socket; ``timeout`` is the seconds until the first byte of an answer."""

    def __init__(self, name: str, queue: RequestQueue, *, timeout: float) -> None:
        self.name = name
        self.queue = queue
        self.timeout = timeout


class Activator:
    """The handler of a server; ``doors`` are the services by the port that a request came in at."""

    def __init__(self, doors: Mapping[int, Door], client: Client) -> None:
        self._doors = doors
        self._client = client

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        address = exchange.server
        if address is None:  # the client has disconnected already
            exchange.abort()
            return
        door = self._doors[address[1]]
        try:
            await self._respond(door, exchange)
        except ApiError as err:
            exchange.respond_error(err)
        except (BodyTooLargeError, BodyTooSlowError) as err:
            exchange.respond_error(of_body(err))

    async def _respond(self, door: Door, exchange: Exchange) -> None:
        if exchange.method in (b"GET", b"HEAD") and _PROBES.fullmatch(exchange.path):
            await self._probe(door, exchange)
            return
        deadline = asyncio.get_running_loop().time() + door.timeout
        door.queue.check_capacity(int(exchange.header(b"content-length") or 0))
        await self._deliver(door, exchange, await exchange.body(BODY_BYTES), deadline)

    async def _deliver(self, door: Door, exchange: Exchange, body: bytes, deadline: float) -> None:
        for attempt in range(ATTEMPTS):
            address = await door.queue.acquire(len(body), deadline, retry=attempt > 0)
            answered = False
            try:
                response = await self._request(address, exchange, body, deadline)
                answered = True
                await self._relay(door, response, exchange)
                return
            except UpstreamTimeoutError as err:
                if not err.retryable:
                    message = f"{door.name} did not begin to answer within {door.timeout:g} s"
                    raise ApiError("upstream_timeout", message) from err
                door.queue.suspect(address)
            except UpstreamError as err:
                if not err.retryable:
                    raise ApiError(err.code, f"{door.name}: {err}") from err
                logger.info("%s did not answer (%s); the request waits again", door.name, err)
                door.queue.suspect(address)
            finally:
                door.queue.release(responded=answered)
        message = f"{door.name} ended {ATTEMPTS} times while it worked on this request; see `switchyard logs`"
        raise ApiError("upstream_closed", message)

    async def _request(self, address: Address, exchange: Exchange, body: bytes, deadline: float) -> Response:
        left = max(deadline - asyncio.get_running_loop().time(), 0.001)
        return await self._client.request(
            exchange.method,
            f"http://{arguments.LOOPBACK}:{address.http_port}{exchange.target.decode('latin-1')}",
            CLIENT_TO_REPLICA.passed(exchange.headers),
            body,
            timeouts=Timeouts(first_byte=left, idle=None),
        )

    async def _relay(self, door: Door, response: Response, exchange: Exchange) -> None:
        try:
            await relay(response, exchange, REPLICA_TO_CLIENT.passed(response.headers))
        except UpstreamError as err:
            logger.warning("%s broke off its response: %s", door.name, err)
            exchange.abort()
        finally:
            response.close()

    async def _probe(self, door: Door, exchange: Exchange) -> None:
        """Respond to what must neither wake a model nor keep it awake."""
        address = door.queue.address
        if address is None:
            raise ApiError("model_not_ready", f"{door.name} does not run now; a request to it starts it")
        try:
            deadline = asyncio.get_running_loop().time() + door.timeout
            response = await self._request(address, exchange, b"", deadline)
        except UpstreamError as err:
            raise ApiError("model_not_ready", f"{door.name}: {err}") from err
        await self._relay(door, response, exchange)
