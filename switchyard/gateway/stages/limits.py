"""Stage: limits the calls in flight and the size of bodies."""

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError


class InFlight:
    """The number of calls in flight, of all protocols together."""

    def __init__(self) -> None:
        self.now = 0


def limits(in_flight: InFlight, *, max_in_flight: int, max_body_bytes: int) -> Stage:
    """Count a call while it is in flight, and read its body; reject it when the gateway is full or the body too large.

    Endpoints of the gateway itself respond even then: lists cost little, and operators need them.
    """

    async def stage(call: Call, proceed: Proceed) -> None:
        # No await between the comparison and the increment, so calls that arrive together cannot all pass it.
        if in_flight.now >= max_in_flight and call.route.by == "model":
            message = f"the gateway has {max_in_flight} requests in flight; try again"
            raise ApiError("overloaded", message, retry_after=1)
        in_flight.now += 1
        try:
            # Within the count: a client that sends its body slowly holds memory and a connection as much as one that
            # waits.
            call.body = await call.edge.body(max_body_bytes)
            await proceed(call)
        finally:
            in_flight.now -= 1

    return stage
