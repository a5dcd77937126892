"""Stage: how much at once, how large, how slow."""

from collections.abc import Callable

from switchyard.gateway.context import Context
from switchyard.gateway.pipeline import Stage
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.body import read_body
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError


def limits(*, in_flight: Callable[[], int], max_in_flight: int, max_body_bytes: int, body_seconds: float) -> Stage:
    """Reads the body, unless the gateway is full or the body too large or too slow."""

    async def stage(context: Context) -> None:
        if in_flight() > max_in_flight:
            message = f"the gateway is answering {max_in_flight} requests; try again"
            raise ApiError("overloaded", message, retry_after=1)
        try:
            context.body = await read_body(context.receive, context.scope, max_body_bytes, deadline=body_seconds)
        except BodyTooLargeError as err:
            raise ApiError("body_too_large", f"{err}; send less") from err
        except BodyTooSlowError as err:
            raise ApiError("body_too_slow", str(err)) from err

    return stage
