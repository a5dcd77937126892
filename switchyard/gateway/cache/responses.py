"""Whole responses in the cache: found, joined while one is made, or made and kept."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from switchyard.gateway.cache.canonical import PLAIN, Key, form_of
from switchyard.gateway.cache.control import Control
from switchyard.gateway.cache.convert import may_convert, other_form, to_plain, to_stream
from switchyard.gateway.cache.counting import CacheCounts, Result
from switchyard.gateway.cache.policy import Scope, may_keep, not_cached, result_headers
from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.recordings.format import Chunk, Decoder, End, FormatError, Head
from switchyard.gateway.recordings.generation import Generation, Plan
from switchyard.gateway.recordings.generations import Found, Generations
from switchyard.gateway.recordings.player import Player
from switchyard.http.api_errors import ApiError
from switchyard.http.sse import Events
from switchyard.http.usage import Usage
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page

Send = Callable[[Call, Proceed], Awaitable[None]]
_NOTHING = Usage()
# Of who had the response made and not of who joined it: the latter asks for its own then.
_OF_THE_OTHER = frozenset(
    (
        *("deadline_exceeded", "deadline_too_short", "idempotency_unknown", "insufficient_quota", "limits_unknown"),
        *("overloaded", "rate_limit_exceeded", "shutting_down", "store_unavailable", "too_many_requests"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to the cache; ``payload`` is that of a JSON body, ``inputs`` what single embeddings are asked for.

    The key of a request for embeddings is that of all that are asked for in the same way.
    """

    scope: Scope
    key: Key
    control: Control
    payload: Mapping[str, Any] | None
    inputs: Sequence[Any] | None = None


class Responses:
    """Finds whole responses and has them made; ``is_current`` says whether a call's model is still the one it was."""

    def __init__(self, generations: Generations, counts: CacheCounts, is_current: Callable[[Call], bool]) -> None:
        self._generations = generations
        self._counts = counts
        self._is_current = is_current

    def pass_by(self, call: Call) -> None:
        """Note that a call has nothing to do with the cache."""
        self._note(call, "bypass")

    async def find(self, call: Call, asked: Asked) -> Send:
        """Return what sends the response.

        Raises:
            ApiError: it is wanted from the cache alone, and is not there.
            StoreError: the store does not respond.
        """
        plan = self._plan(asked)
        running = self._generations.find(plan.scope, plan.names[0])
        if running is not None:
            if asked.control.takes(running.age):
                return partial(self._count_and_send, asked, running, "joined", None)
            return self._alone
        found = await self._claimed(plan, asked)
        if isinstance(found, Page):
            result: Result = "hit" if found.recording.state == "complete" else "joined"
            usage = _usage_of(found) if asked.scope.caching.hits == "tokens" else None
            return partial(self._count_and_send, asked, found, result, usage)
        if not found:
            return self._alone
        converted = await self._converted(call, asked)
        if converted is not None:
            made, usage, left = converted
            generation = self._generations.start(replace(plan, seconds=left), call, made)
            return partial(self._count_and_send, asked, generation, "hit", usage)
        return partial(self._make, plan)

    async def _claimed(self, plan: Plan, asked: Asked) -> Page | bool:
        """Return the page of a response that may be used, or whether this call is to make the response that is kept.

        One that is too old for the request makes room; one that is being made does not.
        """
        control, store, name = asked.control, self._generations.store, plan.names[0]
        await self._generations.wait_for_failed(plan.scope, name)
        # Most of what is asked for is there: to look is a read, to claim is a write, which others wait for.
        page = await store.find(plan.scope, name)
        if page is not None and page.recording.state in ("failed", "lost"):
            page = None
        if control.only_if_cached and (page is None or not control.takes(_age(page, asked))):
            raise not_cached()
        if page is None:
            page = await self._generations.claim(plan)
        if page is None:
            return True
        if control.takes(_age(page, asked)):
            return page
        if page.recording.state == "running":
            return False
        await store.forget(plan.scope, name)
        return await self._generations.claim(plan) is None

    def _plan(self, asked: Asked) -> Plan:
        scope = asked.scope
        return Plan(
            scope=scope.name,
            names=(asked.key.name,),
            fingerprint=bytes.fromhex(asked.key.content),
            seconds=scope.caching.seconds,
            bounds=scope.bounds,
            keeps=self._keeps,
        )

    def _keeps(self, generation: Generation) -> bool:
        head, call = generation.recorder.head, generation.call
        if head is None or head.status != 200:
            return False
        return may_keep(call, dict(head.headers), generation.recorder.tail) and self._is_current(call)

    async def _alone(self, call: Call, proceed: Proceed) -> None:
        """Have a response made that is not kept, as an equal one is being made that is too old for this request."""
        self._note(call, "miss")
        await proceed(call)

    async def _make(self, plan: Plan, call: Call, proceed: Proceed) -> None:
        """Have the response made that is kept."""
        self._note(call, "miss")
        generation = self._generations.start(plan, call, proceed)
        call.body = b""  # the work has its own
        await self._generations.play(generation, plan.scope, Player(call.edge, call.route.shape), call)

    async def _count_and_send(
        self, asked: Asked, found: Found, result: Result, usage: Usage | None, call: Call, proceed: Proceed
    ) -> None:
        """Let a response from the cache be counted as its tenant's says, and send it."""
        hits, send = asked.scope.caching.hits, partial(self._send, asked, found, result)
        if hits == "nothing":
            await send(call, proceed)
            return
        call.cached = send
        # Of one that is still being made nobody knows what it will have used.
        call.counts = _NOTHING if hits == "requests" else usage
        await proceed(call)

    async def _send(self, asked: Asked, found: Found, result: Result, call: Call, proceed: Proceed) -> None:
        if call.counts is not None:
            await settle(call, call.counts)
        player = Player(call.edge, call.route.shape, check=partial(self._begin, call, asked, found, result))
        try:
            await self._generations.play(found, asked.scope.name, player, call)
        except ApiError as err:
            if call.edge.started or err.code not in _OF_THE_OTHER:
                raise
        else:
            if call.counts is None and player.ended is not None:
                call.usage = player.ended.usage
            self._counts.request(call, result, player.place)
            return
        call.cached = call.counts = None
        self._note(call, "bypass")
        await proceed(call)

    def _begin(self, call: Call, asked: Asked, found: Found, result: Result, head: Head) -> None:
        assert call.model is not None
        if head.route != call.route.path or head.model != call.model_name:
            raise ApiError("idempotency_unknown", "what is kept under this request's name is another's", retry_after=1)
        age = _age(found, asked) if isinstance(found, Page) else found.age
        call.edge.add_headers(result_headers(result, age))
        call.edge.release()

    async def _converted(self, call: Call, asked: Asked) -> tuple[Proceed, Usage | None, float] | None:
        """Return what responds with the response that is kept in the other form, and for how long it will be there.

        None where that is not exact.
        """
        payload, path = asked.payload, call.route.path
        if payload is None or not may_convert(path, payload) or (form := other_form(payload)) is None:
            return None
        key = asked.key.in_form(form_of(form))
        try:
            page = await self._generations.store.find(asked.scope.name, key.name)
        except StoreError:
            return None
        if page is None or page.recording.state != "complete" or not asked.control.takes(_age(page, asked)):
            return None
        whole = _decoded(page)
        if whole is None:
            return None
        head, body, end = whole
        data = b"".join(body)
        if asked.key.form == PLAIN:
            plain, kind = to_plain(path, Events().feed(data)), b"application/json"
            chunks: Sequence[bytes] | None = None if plain is None else [plain]
        else:
            with_usage = bool((payload.get("stream_options") or {}).get("include_usage"))
            chunks, kind = to_stream(path, data, with_usage=with_usage), b"text/event-stream; charset=utf-8"
        if chunks is None:
            return None
        kept = [(name, value) for name, value in head.headers if name not in _OF_THE_FORM]
        headers = [*kept, (b"content-type", kind)]

        async def respond(made: Call) -> None:
            made.status, made.usage = 200, end.usage
            made.edge.start(200, headers)
            for chunk in chunks:
                made.edge.write(chunk)
            made.edge.end()

        return respond, end.usage, page.recording.left

    def _note(self, call: Call, result: Result) -> None:
        call.edge.add_headers(result_headers(result))
        self._counts.request(call, result)


def _age(page: Page, asked: Asked) -> float:
    """Return the seconds since a response was made; one that was converted has what was left to the other's."""
    recording = page.recording
    return max(recording.age, asked.scope.caching.seconds - recording.left if recording.state == "complete" else 0.0)


_OF_THE_FORM = frozenset((b"content-type", b"content-length", b"cache-control", b"connection"))


async def settle(call: Call, usage: Usage) -> None:
    """Let the call be counted before anything of its response goes out."""
    call.usage, call.status = usage, 200
    if call.settle is not None:
        await call.settle()


def _usage_of(page: Page) -> Usage | None:
    whole = _decoded(page)
    return None if whole is None else whole[2].usage


def _decoded(page: Page) -> tuple[Head, list[bytes], End] | None:
    """Return a complete response, None if not all of it came with what was found."""
    decoder, head, body = Decoder(), None, list[bytes]()
    try:
        for segment in page.segments:
            for entry in decoder.feed(segment):
                if isinstance(entry, Head):
                    head = entry
                elif isinstance(entry, Chunk):
                    body.append(entry.data)
                elif head is not None and entry.failure is None:
                    return head, body, entry
    except FormatError:
        pass
    return None
