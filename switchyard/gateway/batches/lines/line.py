"""One line of a batch: asked as a call of its owner's, and what becomes of the response."""

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from switchyard.backoff import Backoff
from switchyard.gateway.batches.lines.edge import RESPONSE_BYTES, LineEdge
from switchyard.gateway.batches.lines.requests import Request
from switchyard.gateway.batches.lines.results import Result, row
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.tenants.directory import Identity
from switchyard.telemetry import logs

ATTEMPTS = 8  # of a line whose model fails, a minute in all; then its last error is its result
_BACKOFF = Backoff(first=1.0, most=30.0)
_LONGEST_PAUSE = 60.0  # even where a limit ends in days, as somebody may raise it
_TRANSIENT = frozenset((408, 500, 502, 503, 504))
_HEADERS = [(b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Limited:
    """The line was not run, as a limit was reached; try again after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The model failed on the line; try again after ``seconds``. ``result`` is what it is if nobody does."""

    seconds: float
    result: Result


Outcome = Result | Limited | Failed


async def ask(proceed: Proceed, batch_id: str, request: Request, identity: Identity | None, attempt: int) -> Outcome:
    """Run a line as a call through the gateway's stages; run it in a task of its own, as it sets what logs say."""
    edge = LineEdge(request.body, request.match.route.shape)
    request_id = f"{batch_id}-{request.number}"
    call = Call(
        edge,
        request.match.route,
        request.match.params,
        method=b"POST",
        path=quote(request.url, safe="/:").encode(),
        query=b"",
        headers=_HEADERS,
        fields=dict(_HEADERS),
        request_id=request_id.encode(),
        started=asyncio.get_running_loop().time(),
    )
    call.identity = identity
    call.background = True
    # The same after a kill, so that the ledger charges for a line once.
    call.call_id = f"{request_id.removeprefix('batch_')}-{attempt}"
    if identity is not None:
        logs.tenant.set(identity.tenant)
        logs.key_id.set(identity.key_id)
    await proceed(call)
    return _outcome(batch_id, request, edge, request_id, attempt)


def _outcome(batch_id: str, request: Request, edge: LineEdge, request_id: str, attempt: int) -> Outcome:
    status = int(edge.code)
    if status == 429:
        return Limited(min(_retry_after(edge) or 1.0, _LONGEST_PAUSE))
    if edge.is_too_long:
        error = {"code": "response_too_long", "message": f"the response is longer than {RESPONSE_BYTES} bytes"}
        return Result(request.number, True, row(batch_id, request, error=error))
    response = {"status_code": status, "request_id": request_id, "body": _body(edge.response)}
    result = Result(request.number, status >= 400, row(batch_id, request, response=response))
    if status not in _TRANSIENT or edge.header(b"x-should-retry") == b"false":
        return result
    return Failed(max(_BACKOFF.pause(attempt), min(_retry_after(edge), _LONGEST_PAUSE)), result)


def _body(data: bytes) -> object:
    """Return a body as part of a line: as it is where it is JSON, else as text."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")
    # Between the tokens of JSON alone are line breaks that are no escapes.
    return orjson.Fragment(data.replace(b"\n", b" ").replace(b"\r", b" "))


def _retry_after(edge: LineEdge) -> float:
    text = edge.header(b"retry-after")
    return float(text) if text.isdigit() and len(text) < 10 else 0.0
