"""Stage: ends an HTTP call whose time is over; gRPC brings its own deadlines."""

import asyncio
import re
from collections.abc import Awaitable

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError

HEADER = b"x-switchyard-deadline"
_SECONDS = re.compile(rb"[0-9]{1,5}(\.[0-9]{1,3})?")
_MOST = 86_400.0  # a day is more than any connection lasts


def deadline() -> Stage:
    """Give a call the seconds that its header says, from its arrival to the end of its response.

    What has begun ends as a response that failed: of a stream, the last event says so.
    """

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        given = call.fields.get(HEADER)
        if given is None or call.route.rpc:
            return proceed(call)
        return within(call, proceed, _seconds(given))

    async def within(call: Call, proceed: Proceed, seconds: float) -> None:
        call.deadline = call.started + seconds
        try:
            async with asyncio.timeout_at(call.deadline) as scope:
                await proceed(call)
        except TimeoutError as err:
            if not scope.expired():
                raise
            message = f"the response was not complete within {seconds:g} s, the request's deadline; ask for less"
            raise ApiError("deadline_exceeded", message) from err

    return stage


def _seconds(given: bytes) -> float:
    seconds = float(given) if _SECONDS.fullmatch(given) else 0.0
    if not 0 < seconds <= _MOST:
        message = f"{HEADER.decode()} is no time; send seconds, as 2.5, at most {_MOST:g}"
        raise ApiError("invalid_value", message)
    return seconds
