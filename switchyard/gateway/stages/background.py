"""Stage: makes a response of OpenAI's Responses API in the background, if its request says so."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.recordings import names
from switchyard.gateway.recordings.generation import RUNNING_SECONDS, Plan
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.responses.objects import input_items, queued
from switchyard.gateway.responses.store import Responses, away, name_of
from switchyard.gateway.settlements import new_call_id
from switchyard.gateway.stages.limits import InFlight
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.store.contract import StoreError

PATH = "/v1/responses"
MOST = 256  # that a gateway makes at a time, shared between tenants: nobody's connection holds any of them
_JSON = (b"content-type", b"application/json")


def background(*, responses: Responses | None, now: Callable[[], float] = time.time) -> Stage:
    """Make such responses without a client; all other calls pass, and all in a gateway without a store."""
    making = _Making(responses, now) if responses is not None else None

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        if making is None or call.route.path != PATH or b'"background"' not in call.body:
            return proceed(call)
        payload = parse_object(call.body)
        return making.run(call, proceed, payload) if payload.get("background") is True else proceed(call)

    return stage


class _Making:
    def __init__(self, responses: Responses, now: Callable[[], float]) -> None:
        self._responses = responses
        self._now = now
        self._running = InFlight(MOST)

    async def run(self, call: Call, proceed: Proceed, payload: dict[str, Any]) -> None:
        if payload.get("store") is False:
            raise ApiError("invalid_value", "a response in the background is stored; leave store out", param="store")
        self._running.require_room(call.identity)
        response_id, scope = f"resp_{new_call_id()}", names.scope_of(call.identity)
        generations, streams = self._responses.generations, call.stream
        plan = Plan(
            scope=scope,
            names=(name_of(response_id),),
            seconds=self._responses.seconds,
            lasts=RUNNING_SECONDS,
            exclusive=True,
            keeps_failed=True,
        )
        try:
            await generations.claim(plan)
            await self._responses.keep_input(scope, response_id, input_items(payload.get("input")))
        except StoreError as err:
            raise away(err) from err

        async def work(made: Call) -> None:
            self._running.enter(made.identity)
            try:
                await proceed(made)
            finally:
                self._running.leave(made.identity)

        # vLLM's ids are those of its requests. It streams, so that what there is can be looked up meanwhile.
        asked = {name: value for name, value in payload.items() if name != "background"}
        call.body = orjson.dumps({**asked, "stream": True, "request_id": response_id})
        call.stream = True
        generation = generations.start(plan, call, work)
        call.body, call.stream = b"", streams
        if streams:
            await generations.play(generation, scope, Player(call.edge, call.route.shape), call)
        else:
            call.edge.respond(200, [_JSON], orjson.dumps(queued(response_id, payload, self._now())))
