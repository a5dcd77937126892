"""The HTTP endpoint of every service: queues requests to models that sleep, wake or are full, and forwards them.

It is in the path of every request, as Knative's activator is with target-burst-capacity -1, and enforces
containerConcurrency as its queue-proxy does. One listening socket per service tells whose request it is.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence

from switchyard.http.api_errors import ApiError, of_body
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import CLIENT_TO_REPLICA, REPLICA_TO_CLIENT, Header
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError
from switchyard.http.server import Exchange
from switchyard.http.server.relay import relay
from switchyard.local.activator import repository_control
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.activator.spans import HeldRequest
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address
from switchyard.local.program import program
from switchyard.telemetry.trace_context import TRACEPARENT
from switchyard.telemetry.tracing import Tracer

# A body is read whole, so that it can be sent again. More than the gateway takes by default: clients should meet its
# limit, whose error names a setting.
BODY_BYTES = 48 * 1024 * 1024

# Attempts in all, for a request whose replica died before the first byte of a response. One that kills its process each
# time thus costs as many starts as fail the service (``recovery.CRASHES``).
ATTEMPTS = 3

# Knative's queue-proxy knows probes by the kubelet's user agent and lets them past its breaker and its statistics. Here
# the path tells, because clients of V2 ask whether a model is ready too.
_PROBES = re.compile(rb"/v2/health/.*|/v2/repository/index|/metrics|/v2/models/[^/]+(?:/versions/[^/]+)?/ready")

_NOTICED_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Endpoint:
    """One service and its queue; ``timeout`` is the seconds until the first byte of a response.

    With ``loadable``, requests to load and unload its model are carried out here and not forwarded.
    """

    def __init__(
        self, name: str, queue: RequestQueue, *, timeout: float, loadable: repository_control.Loadable | None = None
    ) -> None:
        self.name = name
        self.queue = queue
        self.timeout = timeout
        self.loadable = loadable

    async def admitted(self, size: int, deadline: float, held: HeldRequest, *, retry: bool) -> Address:
        """Wait for a place as ``RequestQueue.acquire`` does, and log a wait that a client notices."""
        loop = asyncio.get_running_loop()
        began, asleep = loop.time(), self.queue.address is None
        try:
            address = await self.queue.acquire(size, deadline, retry=retry)
        finally:
            held.waited(loop.time() - began, asleep=asleep)
        if (seconds := loop.time() - began) > _NOTICED_SECONDS:
            logger.info("a request waited", extra={"model": self.name, "seconds": round(seconds, 3)})
        return address


class Activator:
    """The handler of HTTP requests; ``endpoints`` are the services, by the port at which a request arrived."""

    def __init__(self, endpoints: Mapping[int, Endpoint], client: Client, tracer: Tracer) -> None:
        self._endpoints = endpoints
        self._client = client
        self._tracer = tracer

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        address = exchange.server
        if address is None:  # the client has disconnected already
            exchange.abort()
            return
        endpoint = self._endpoints.get(address[1])
        if endpoint is None:  # on a connection that its client kept open
            exchange.respond_error(ApiError("model_not_found", "this service was removed from this machine"))
            return
        try:
            await self._respond(endpoint, exchange)
        except ApiError as err:
            exchange.respond_error(err)
        except (BodyTooLargeError, BodyTooSlowError) as err:
            exchange.respond_error(of_body(err))

    async def _respond(self, endpoint: Endpoint, exchange: Exchange) -> None:
        if exchange.method in (b"GET", b"HEAD") and _PROBES.fullmatch(exchange.path):
            await self._probe(endpoint, exchange)
            return
        control = repository_control.of_path(exchange.method, exchange.path)
        if control is not None and endpoint.loadable is not None:
            repository_control.check_body(control, await exchange.body(repository_control.BODY_BYTES))
            await repository_control.carry_out(control, endpoint.loadable, endpoint.name, endpoint.timeout)
            exchange.respond(200, [], b"")
            return
        # One deadline for the upload, the wait and every attempt: a client waits for their sum.
        deadline = asyncio.get_running_loop().time() + endpoint.timeout
        # A full queue rejects before it has taken memory for a body. ``acquire`` checks again: several requests may get
        # past here while their bodies arrive.
        endpoint.queue.check_capacity(int(exchange.fields.get(b"content-length") or 0))
        with HeldRequest(self._tracer, endpoint.name, exchange.fields.get(TRACEPARENT)) as held:
            await self._deliver(endpoint, exchange, await exchange.body(BODY_BYTES), deadline, held)

    async def _deliver(
        self, endpoint: Endpoint, exchange: Exchange, body: bytes, deadline: float, held: HeldRequest
    ) -> None:
        for attempt in range(ATTEMPTS):
            address = await endpoint.admitted(len(body), deadline, held, retry=attempt > 0)
            responded = False
            try:
                response = await self._request(address, exchange, body, deadline, held.headers)
                responded = True
                body = b""  # it is not sent again, and a stream may go on for long
                exchange.release()
                await self._relay(endpoint, response, exchange)
                return
            except UpstreamTimeoutError as err:
                if not err.retryable:
                    message = f"{endpoint.name} did not begin to respond within {endpoint.timeout:g} s"
                    raise ApiError("upstream_timeout", message) from err
                endpoint.queue.suspect(address)
            except UpstreamError as err:
                if not err.retryable:
                    raise ApiError(err.code, f"{endpoint.name}: {err}") from err
                logger.info("%s did not respond (%s); the request waits again", endpoint.name, err)
                endpoint.queue.suspect(address)
            finally:
                # After the last byte, not after the headers: a stream occupies its slot and keeps its service awake.
                endpoint.queue.release(responded=responded)
        told = f"{endpoint.name} ended {ATTEMPTS} times while it worked on this request"
        raise ApiError("upstream_closed", f"{told}; see `{program()} logs {endpoint.name}`")

    async def _request(
        self, address: Address, exchange: Exchange, body: bytes, deadline: float, added: Sequence[Header] = ()
    ) -> Response:
        # At least a millisecond: a slot may be granted in the turn of the event loop in which the deadline passes.
        remaining = max(deadline - asyncio.get_running_loop().time(), 0.001)
        # Without `idle`, as with Knative's default (revision-idle-timeout-seconds: 0): a stream may pause. Unlike
        # Knative's, our timeout ends with the response's first byte: a model may generate for minutes.
        return await self._client.request(
            exchange.method,
            f"http://{arguments.LOOPBACK}:{address.http_port}{exchange.target.decode('latin-1')}",
            CLIENT_TO_REPLICA.passed(exchange.headers, added),
            body,
            timeouts=Timeouts(first_byte=remaining, idle=None),
        )

    async def _relay(self, endpoint: Endpoint, response: Response, exchange: Exchange) -> None:
        try:
            await relay(response, exchange, REPLICA_TO_CLIENT.passed(response.headers))
        except UpstreamError as err:
            logger.warning("%s did not complete its response: %s", endpoint.name, err)
            if not exchange.started:
                raise ApiError(err.code, f"{endpoint.name}: {err}") from err
            exchange.abort()  # the headers are sent: only a connection that is cut says that the body is not whole
        finally:
            response.close()

    async def _probe(self, endpoint: Endpoint, exchange: Exchange) -> None:
        """Forward a probe, which must neither wake a model nor keep it awake."""
        address = endpoint.queue.address
        if address is None:
            raise ApiError("model_not_ready", f"{endpoint.name} does not run now; a request to it starts it")
        try:
            deadline = asyncio.get_running_loop().time() + endpoint.timeout
            response = await self._request(address, exchange, b"", deadline)
        except UpstreamError as err:
            raise ApiError("model_not_ready", f"{endpoint.name}: {err}") from err
        await self._relay(endpoint, response, exchange)
