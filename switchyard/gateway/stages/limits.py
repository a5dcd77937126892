"""Stage: limits the calls in flight and the size of bodies."""

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError
from switchyard.shares import Shares


class InFlight:
    """The calls in flight, of all protocols together; tenants share the places, so that none can hold all of them."""

    def __init__(self, most: int) -> None:
        self._shares = Shares(most)

    @property
    def now(self) -> int:
        return self._shares.used

    def require_room(self, identity: Identity | None) -> None:
        """Check that another call fits.

        Raises:
            ApiError: 503 when the gateway is full, 429 when the tenant holds as many places as are left to others.
        """
        tenant = None if identity is None else identity.tenant
        full = self._shares.full(tenant)
        if full == "platform":
            message = f"the gateway has {self._shares.total} requests in flight; try again"
            raise ApiError("overloaded", message, retry_after=1)
        if full == "owner" and tenant is not None:
            message = (
                f"tenant {tenant} has {self._shares.held(tenant)} requests in flight, as many as the gateway has room "
                "for; send fewer at a time, and try again"
            )
            raise ApiError("too_many_requests", message, retry_after=1)

    def enter(self, identity: Identity | None) -> None:
        """Count a call that has begun."""
        self._shares.take(None if identity is None else identity.tenant)

    def leave(self, identity: Identity | None) -> None:
        """Count a call that has ended."""
        self._shares.give_back(None if identity is None else identity.tenant)


def limits(in_flight: InFlight, *, max_body_bytes: int) -> Stage:
    """Count a call while it is in flight, and read its body; reject it when the gateway is full or the body too large.

    Endpoints of the gateway itself respond even then: lists cost little, and operators need them.
    """

    async def stage(call: Call, proceed: Proceed) -> None:
        # No await between the check and the count, so calls that arrive together cannot all pass it.
        identity = call.identity
        if call.route.by == "model":
            in_flight.require_room(identity)
        in_flight.enter(identity)
        try:
            # Within the count: a client that sends its body slowly holds memory and a connection as much as one that
            # waits.
            if call.route.body != "file":  # which may be far longer, and is read as it arrives
                call.body = await call.edge.body(max_body_bytes)
            await proceed(call)
        finally:
            in_flight.leave(identity)

    return stage
