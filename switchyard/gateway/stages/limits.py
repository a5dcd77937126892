"""Stage: how many calls at once, and how large a body."""

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.http.api_errors import ApiError


class InFlight:
    """How many calls are being answered now, of all protocols together."""

    def __init__(self) -> None:
        self.now = 0


def limits(in_flight: InFlight, *, max_in_flight: int, max_body_bytes: int) -> Stage:
    """Counts a call while it is answered, and reads its body, unless that is too large or the gateway full.

    What the gateway answers itself it answers then too: lists cost little, and operators need them.
    """

    async def stage(call: Call, proceed: Proceed) -> None:
        if in_flight.now >= max_in_flight and call.route.by == "model":
            message = f"the gateway is answering {max_in_flight} requests; try again"
            raise ApiError("overloaded", message, retry_after=1)
        in_flight.now += 1
        try:
            call.body = await call.edge.body(max_body_bytes)
            await proceed(call)
        finally:
            in_flight.now -= 1

    return stage
