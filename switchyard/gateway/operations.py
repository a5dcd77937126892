"""Endpoints for operators and readers: health, metrics and the description of the interface; no model is involved."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import orjson
from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogSource
from switchyard.gateway.call import Call
from switchyard.gateway.lookup import read_catalog
from switchyard.gateway.openapi.document import document
from switchyard.gateway.openapi.page import CONTENT_SECURITY_POLICY, DEFAULT_URL, page
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.table import METRICS
from switchyard.gateway.stages.endpoints.listing import server_version
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.telemetry.exposition import exposition

JSON = b"application/json"
# Pages of hundreds of kilobytes, which take tens of milliseconds to write: other calls go on meanwhile.
_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")  # nothing that means something in HTML or to a shell
# A browser takes a page for what it says it is, shows it in no frame of another page, and tells no link where it was.
# No strict-transport-security: it would be for every port of this host, and many a host is localhost.
_SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_SLOW = frozenset((METRICS, "/docs", "/openapi.json"))


@dataclass(frozen=True, slots=True)
class Page:
    """A whole response."""

    body: bytes
    content_type: bytes = JSON
    status: int = 200
    headers: tuple[Header, ...] = ()


async def with_errors(call: Call, proceed: Proceed) -> None:
    """Stage: sends the errors of the stages inside it, and counts nothing."""
    try:
        await proceed(call)
    except ApiError as err:
        call.edge.fail(err)


def health() -> Page:
    """Say that the process responds."""
    return Page(b'{"status":"ok"}')


def ready(source: CatalogSource, *, draining: bool) -> Page:
    """Say whether new requests should come here: the catalog is readable, and the gateway does not drain."""
    if draining:
        return Page(orjson.dumps({"status": "not ready", "reason": "the gateway is shutting down"}), status=503)
    try:
        models = len(read_catalog(source).models)
    except ApiError as err:
        reason = f"{err.message}: {err.__cause__}"  # the file, or the API server
        return Page(orjson.dumps({"status": "not ready", "reason": reason}), status=err.status)
    return Page(orjson.dumps({"status": "ready", "models": str(models)}))


def metrics(registry: CollectorRegistry, accept: bytes | None) -> Page:
    """Return the metrics, in the format that ``accept`` prefers."""
    return Page(*exposition(registry, accept))


@cache
def openapi() -> Page:
    """Return the OpenAPI document."""
    return Page(orjson.dumps(document(server_version())))


@cache
def docs() -> Page:
    """Return the OpenAPI document as a page for readers."""
    policy = (b"content-security-policy", CONTENT_SECURITY_POLICY)
    return Page(page(document(server_version())).encode(), b"text/html; charset=utf-8", headers=(policy,))


def with_host(made: Page, host: bytes, scheme: bytes = b"http") -> Page:
    """Return the page for readers with ``host`` in its commands: where they opened it, they can paste them."""
    if not _HOST.fullmatch(host):
        return made
    return replace(made, body=made.body.replace(DEFAULT_URL.encode(), scheme + b"://" + host))


def pages(
    source: CatalogSource,
    registry: CollectorRegistry,
    is_draining: Callable[[], bool],
    scheme: bytes = b"http",
    before_scrape: Callable[[], None] = lambda: None,
) -> Stage:
    """Return the stage that responds with these pages; operators need them whatever becomes of other calls."""
    makers: dict[str, Callable[[Call], Page]] = {
        "/health": lambda _: health(),
        "/healthz": lambda _: health(),
        "/readyz": lambda _: ready(source, draining=is_draining()),
        METRICS: lambda call: metrics(registry, call.fields.get(b"accept")),
        "/docs": lambda _: docs(),
        "/openapi.json": lambda _: openapi(),
    }

    async def stage(call: Call, proceed: Proceed) -> None:
        make = makers[call.route.path]
        if call.route.path == METRICS:
            before_scrape()  # not in the page's thread: it changes what calls count with
        made = await asyncio.to_thread(make, call) if call.route.path in _SLOW else make(call)
        if call.route.path == "/docs":
            made = with_host(made, call.fields.get(b"host", b""), scheme)
        call.edge.respond(made.status, [(b"content-type", made.content_type), *made.headers, *_SECURITY], made.body)

    return stage
