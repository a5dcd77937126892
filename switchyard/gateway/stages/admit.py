"""Stage: lets a model have as many calls at a time as it has places; others wait, in a queue fair between tenants."""

import asyncio
import math
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext

from switchyard.gateway.admission.fair_queue import Priority
from switchyard.gateway.admission.queues import Queues
from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.heartbeats import heartbeats
from switchyard.http.api_errors import ApiError
from switchyard.telemetry import attributes

# Well within the minute after which proxies close a silent connection; until then an error has a status of its own.
_SILENT_SECONDS = 10.0


def admit(*, queues: Queues, locate: Locate, meter: Meter, heartbeat_seconds: float) -> Stage:
    """Hold a place of the model's server until the response has ended; wait for one where none is free.

    Models whose places nobody knows, graphs among them, are asked at once. A stream that waits for longer than
    ``_SILENT_SECONDS`` begins with comments, every ``heartbeat_seconds``; what is wrong then is an event in it. A call
    whose deadline will be over before it has a place gets an error at once, as does one in the background (429).
    """
    time = asyncio.get_running_loop().time

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        assert call.model is not None
        if call.identity is None or call.model.concurrency is None:
            return proceed(call)
        return admitted(call, proceed, call.model.concurrency)

    async def admitted(call: Call, proceed: Proceed, places: int) -> None:
        assert call.model is not None
        assert call.identity is not None
        server, tenant = call.model.url, call.identity.tenant
        waited = not queues.try_acquire(server, places, call.model.name, tenant)
        if waited and call.background:
            raise ApiError("too_many_requests", f"model {call.model.name} is full", retry_after=1)
        if waited:
            await wait(call, server)
        began = time()
        try:
            if waited:  # its address and state may have changed
                call.model = locate(call.model_name, call.identity)
            await proceed(call)
        finally:
            queues.release(server, tenant, time() - began)

    async def wait(call: Call, server: str) -> None:
        assert call.model is not None
        assert call.identity is not None
        name, began, priority = call.model.name, time(), Priority[call.service_tier.upper()]
        if call.deadline is not None:
            _require_time(call, queues.expected_wait(server, priority), call.deadline - began)
        meter.waiting(name, 1)
        try:
            with _comments(call, heartbeat_seconds, meter):
                await queues.acquire(server, name, call.identity.tenant, call.identity.weight, len(call.body), priority)
        finally:
            seconds = time() - began
            meter.waiting(name, -1)
            meter.waited(name, seconds)
            if call.span is not None and call.span.sampled:
                call.span.set(attributes.QUEUE_SECONDS, round(seconds, 6))

    return stage


def _require_time(call: Call, wait: float, left: float) -> None:
    if wait > left:
        message = (
            f"model {call.model_name} is full, and a request that waits now has a place in {wait:.1f} s, after the "
            f"deadline in {max(0.0, left):.1f} s; try again later, or with more time"
        )
        raise ApiError("deadline_too_short", message, retry_after=max(1, math.ceil(wait - left)))


def _comments(call: Call, seconds: float, meter: Meter) -> AbstractContextManager[None]:
    if not call.stream or call.route.shape == "text":  # plain text has no comments
        return nullcontext()
    return heartbeats(
        call,
        seconds=seconds,
        patience=_SILENT_SECONDS,
        reason=lambda: f"model {call.model_name} is full: waiting for a place",
        on_heartbeat=meter.heartbeat,
    )
