"""Finds out what a call used while its response is forwarded, without holding the response."""

from dataclasses import replace

from switchyard.gateway.call import Call
from switchyard.gateway.quota.estimates import WITHOUT_TOKENS
from switchyard.gateway.routes.table import EMBEDDING
from switchyard.http.client import Response
from switchyard.http.client.response import Sink
from switchyard.http.headers import USAGE, USAGE_BEFORE
from switchyard.http.sse import EVENT, USAGE_COMMENT, UsageComments
from switchyard.http.usage import TAIL_BYTES, Usage, usage_of_tail, usage_of_text

_TOKEN_BYTES = 4  # of JSON with English text; only for calls of which nobody said what they used
_TIER = b"x-switchyard-tier"
_TIER_BYTES = 32


class ResponseUsage:
    """Sets ``call.usage`` from the response's header, or from the end of its body.

    Create it while the call has its body. Where nobody says what a call used, as its stream was cut, or its server does
    not count or says what is no count, usage is an estimate: the prompt by its bytes, a token for each event, or for
    each four bytes of another response; or what a predictor has said so far, and a token for each event since. What a
    graph says of its earlier steps is added.
    """

    __slots__ = ("_call", "_comments", "_events", "_request_bytes", "_response_bytes", "_so_far", "_tail")

    def __init__(self, call: Call, response: Response) -> None:
        self._call = call
        self._comments = UsageComments() if response.is_events else None
        self._request_bytes = len(call.body)
        self._response_bytes = 0
        self._events = 0  # since ``_so_far``
        self._so_far: Usage | None = None
        self._tail = b""

    def add(self, data: bytes) -> bytes:
        """Look at a chunk of the body; return what of it is for the client, which is not what is said here alone."""
        self._response_bytes += len(data)
        self._events += data.count(EVENT)
        if self._comments is not None and USAGE_COMMENT in data:
            self._read_so_far(self._tail + data)
        self._tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self._tail + data)[-TAIL_BYTES:]
        return data if self._comments is None else self._comments.feed(data)

    def _read_so_far(self, text: bytes) -> None:
        at = text.rfind(b"\n" + USAGE_COMMENT)  # what a model writes is within a line
        said = None if at < 0 else usage_of_text(text[at + 1 + len(USAGE_COMMENT) :])
        if said is not None:
            self._so_far, self._events = said, text.count(EVENT, at)

    def rest(self) -> bytes:
        """Return what ``add`` still held of a stream that has ended."""
        return b"" if self._comments is None else self._comments.end()

    def sink(self, sink: Sink) -> Sink:
        """Return a sink that looks at the body, of which ``sink`` gets what is for the client."""
        return _Watched(sink, self)

    def finish(self, response: Response) -> None:
        """Set what the call used: all that will come has come."""
        if response.status != 200 or self._call.usage is not None:
            return
        self._call.tier = (response.header(_TIER) or b"")[:_TIER_BYTES].decode("latin-1")
        said, before = response.header(USAGE), response.header(USAGE_BEFORE)
        if said is None and self._so_far is not None and not response.complete:
            completion = self._so_far.completion_tokens + self._events
            usage: Usage | None = replace(self._so_far, completion_tokens=completion, estimated=True)
        else:
            usage = (usage_of_text(said) if said is not None else usage_of_tail(self._tail)) or self._estimate(response)
        earlier = None if before is None else usage_of_text(before)
        self._call.usage = usage if earlier is None else earlier if usage is None else earlier + usage

    def _estimate(self, response: Response) -> Usage | None:
        model, route = self._call.model, self._call.route
        kind = "" if model is None else model.kind
        if kind == "vision":
            return Usage(inferences=1)
        prompt = self._request_bytes // _TOKEN_BYTES
        if self._comments is not None:
            return Usage(prompt_tokens=prompt, completion_tokens=self._events, estimated=True) if self._events else None
        # Of one that was cut its reservation is known, and nobody knows what a graph of vision models takes for tokens.
        vision = kind == "graph" and "vision" in route.kinds
        if not response.complete or vision or route.path in WITHOUT_TOKENS:
            return None
        embeds = kind == "embedding" or route.kinds <= EMBEDDING
        completion = 0 if embeds else self._response_bytes // _TOKEN_BYTES
        return Usage(prompt_tokens=prompt, completion_tokens=completion, estimated=True)


class _Watched:
    """A sink whose data is looked at."""

    __slots__ = ("_sink", "_usage")

    def __init__(self, sink: Sink, usage: ResponseUsage) -> None:
        self._sink = sink
        self._usage = usage

    @property
    def congested(self) -> bool:
        return self._sink.congested

    def write(self, data: bytes) -> None:
        if data := self._usage.add(data):
            self._sink.write(data)

    async def drain(self) -> None:
        await self._sink.drain()
