"""The HTTP door of every service: holds requests to models that sleep, wake or are full, and sends them on.

It is in the path of every request, as Knative's activator is with target-burst-capacity -1, and enforces
containerConcurrency as its queue-proxy does. One listening socket per service tells whose request it is.
"""

import asyncio
import logging
import re
from collections.abc import Mapping

import orjson

from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.asgi.body import read_body
from switchyard.http.asgi.disconnect import HangUp
from switchyard.http.asgi.relay import relay
from switchyard.http.client import Client, Response, Timeouts
from switchyard.http.client.errors import UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import NOT_FORWARDED, NOT_RETURNED, filtered
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError
from switchyard.local.activator.request_queue import RequestQueue, UnavailableError
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address

BODY_BYTES = 64 * 1024 * 1024

# A request whose replica died before the first byte of an answer is sent again, this often in all.
ATTEMPTS = 3

_PROBES = re.compile(r"/v2/health/.*|/metrics|/v2/models/[^/]+(?:/versions/[^/]+)?/ready")

logger = logging.getLogger(__name__)


class BrokenAnswer(Exception):
    """An answer broke off after its first byte; the server closes the connection so that the client sees it."""


class Door:
    """One service behind its socket; ``timeout`` is the seconds until the first byte of an answer."""

    def __init__(self, name: str, queue: RequestQueue, *, timeout: float) -> None:
        self.name = name
        self.queue = queue
        self.timeout = timeout


class Activator:
    """A plain ASGI application; ``doors`` are the services by the port that a request came in at."""

    def __init__(self, doors: Mapping[int, Door], client: Client) -> None:
        self._doors = doors
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        door = self._doors[scope["server"][1]]
        try:
            await self._answer(door, scope, receive, send)
        except UnavailableError as refused:
            await _refuse(send, refused)
        except BodyTooLargeError as err:
            await _refuse(send, UnavailableError(413, f"{door.name}: {err}"))
        except BodyTooSlowError as err:
            await _refuse(send, UnavailableError(408, f"{door.name}: {err}"))
        except ClientDisconnectedError:
            return

    async def _answer(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and _PROBES.fullmatch(scope["path"]):
            await self._probe(door, scope, send)
            return
        due = asyncio.get_running_loop().time() + door.timeout
        door.queue.check_capacity(_declared_length(scope))
        body = await read_body(receive, scope, BODY_BYTES)
        with HangUp(receive):
            await self._deliver(door, scope, send, body, due)

    async def _deliver(self, door: Door, scope: Scope, send: Send, body: bytes, due: float) -> None:
        for attempt in range(ATTEMPTS):
            address = await door.queue.acquire(len(body), due, retry=attempt > 0)
            answered = False
            try:
                response = await self._request(address, scope, body, due)
                answered = True
                await self._relay(door, response, send)
                return
            except UpstreamTimeoutError as err:
                if not err.retryable:
                    raise UnavailableError(
                        504, f"{door.name} did not begin to answer within {door.timeout:g} s"
                    ) from err
                door.queue.suspect(address)
            except UpstreamError as err:
                if not err.retryable:
                    raise UnavailableError(502, f"{door.name}: {err}") from err
                logger.info("%s did not answer (%s); the request waits again", door.name, err)
                door.queue.suspect(address)
            finally:
                door.queue.release(responded=answered)
        raise UnavailableError(
            502, f"{door.name} ended {ATTEMPTS} times while it worked on this request; see `switchyard logs`"
        )

    async def _request(self, address: Address, scope: Scope, body: bytes, due: float) -> Response:
        left = max(due - asyncio.get_running_loop().time(), 0.001)
        return await self._client.request(
            scope["method"].encode("ascii"),
            _url(address, scope),
            filtered(scope["headers"], NOT_FORWARDED),
            body,
            timeouts=Timeouts(first_byte=left, idle=None),
        )

    async def _relay(self, door: Door, response: Response, send: Send) -> None:
        try:
            await relay(response, send, filtered(response.headers, NOT_RETURNED))
        except UpstreamError as err:
            raise BrokenAnswer(f"{door.name} broke off its answer: {err}") from err
        finally:
            response.close()

    async def _probe(self, door: Door, scope: Scope, send: Send) -> None:
        """Answers what must neither wake a model nor keep it awake."""
        address = door.queue.address
        if address is None:
            raise UnavailableError(503, f"{door.name} does not run now; a request to it starts it")
        try:
            due = asyncio.get_running_loop().time() + door.timeout
            response = await self._request(address, scope, b"", due)
        except UpstreamError as err:
            raise UnavailableError(503, f"{door.name}: {err}") from err
        await self._relay(door, response, send)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


def _url(address: Address, scope: Scope) -> str:
    query = scope["query_string"]
    path = scope["raw_path"].decode("latin-1")
    return f"http://{arguments.LOOPBACK}:{address.http_port}{path}{'?' + query.decode('latin-1') if query else ''}"


async def _refuse(send: Send, refused: UnavailableError) -> None:
    body = orjson.dumps({"error": refused.message})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refused.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(refused.retry_after))))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
