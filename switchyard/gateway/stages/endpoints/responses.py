"""Stage of responses in the background: look one up, continue its stream, cancel it, list its input."""

import time
from collections.abc import Awaitable, Callable, Mapping

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.recordings import names
from switchyard.gateway.recordings.format import Head
from switchyard.gateway.recordings.generation import Generation
from switchyard.gateway.recordings.generations import Found
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.responses.objects import described
from switchyard.gateway.responses.store import Responses
from switchyard.gateway.routes.query import number, parameters, require_none
from switchyard.http.api_errors import ApiError

RESPONSE = "/v1/responses/{response_id}"
_JSON = (b"content-type", b"application/json")
_MOST_EVENTS = 10**15
_ORDERS = ("asc", "desc")

Respond = Callable[[Call, str, str], Awaitable[None]]


def responses_in_background(
    *, responses: Responses | None, locate: Locate, now: Callable[[], float] = time.time
) -> Stage:
    """Respond to calls of these routes; others pass. ``locate`` finds what a caller may use."""
    made = _Endpoints(responses, locate, now) if responses is not None else None
    routes: Mapping[str, Respond] = {}
    if made is not None:
        routes = {
            RESPONSE: made.retrieve,
            f"{RESPONSE}/cancel": made.cancel,
            f"{RESPONSE}/input_items": made.input_items,
        }

    async def stage(call: Call, proceed: Proceed) -> None:
        if not call.route.path.startswith(RESPONSE):
            await proceed(call)
            return
        if made is None:
            message = "this gateway keeps no responses; name a store by SWITCHYARD_STORE"
            raise ApiError("not_implemented", message)
        await routes[call.route.path](call, names.scope_of(call.identity), call.params["response_id"])

    return stage


class _Endpoints:
    def __init__(self, responses: Responses, locate: Locate, now: Callable[[], float]) -> None:
        self._responses = responses
        self._locate = locate
        self._now = now

    async def retrieve(self, call: Call, scope: str, response_id: str) -> None:
        given = parameters(call.query)
        streams = given.pop("stream", ["false"])[-1] == "true"
        # Events are numbered from 0 there.
        after = number(given, "starting_after", -1, 0, _MOST_EVENTS) + 1 if "starting_after" in given else 0
        given.pop("include", None)
        given.pop("include_obfuscation", None)
        require_none(given)
        found = await self._responses.find(scope, response_id)
        if not streams:
            await self._show(call, scope, response_id, found)
            return

        def check(head: Head) -> None:
            self._locate(head.model, call.identity)

        player = Player(call.edge, call.route.shape, after=after, check=check)
        await self._responses.generations.play(found, scope, player, call)

    async def cancel(self, call: Call, scope: str, response_id: str) -> None:
        require_none(parameters(call.query))
        await self._responses.cancel(scope, response_id, await self._responses.find(scope, response_id))
        await self._show(call, scope, response_id, await self._responses.find(scope, response_id))

    async def input_items(self, call: Call, scope: str, response_id: str) -> None:
        given = parameters(call.query)
        limit, order = number(given, "limit", 20, 1, 100), given.pop("order", ["desc"])[-1]
        after = given.pop("after", [""])[-1]
        given.pop("include", None)
        require_none(given)
        if order not in _ORDERS:
            raise ApiError("invalid_value", "order is neither asc nor desc", param="order")
        items = [*(await self._responses.input_of(scope, response_id))]
        items = items if order == "asc" else items[::-1]
        ids = [item["id"] for item in items]
        if after and after not in ids:
            raise ApiError("invalid_value", "after is no id of an item of this response", param="after")
        start = ids.index(after) + 1 if after else 0
        page = items[start : start + limit]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        body = {"object": "list", "data": page, **ends, "has_more": start + limit < len(items)}
        call.edge.respond(200, [_JSON], orjson.dumps(body))

    async def _show(self, call: Call, scope: str, response_id: str, found: Found) -> None:
        entries = await self._responses.entries(scope, found)
        for entry in entries:
            if isinstance(entry, Head):
                self._locate(entry.model, call.identity)  # another key of the tenant may be for other models
        running = isinstance(found, Generation)
        age = found.age if isinstance(found, Generation) else found.recording.age
        lost = not running and not isinstance(found, Generation) and found.recording.state == "lost"
        shown = described(response_id, entries, self._now() - age, lost=lost)
        call.edge.respond(200, [_JSON], orjson.dumps(shown))
