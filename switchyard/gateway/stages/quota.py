"""Stage: a call takes what it needs of its limits before it runs, and settles on what it used when it ends."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.quota import responses
from switchyard.gateway.quota.alerts import Alerts
from switchyard.gateway.quota.claims import Amounts, AppliedLimit, AppliedLimits
from switchyard.gateway.quota.estimates import Estimates, as_usage, is_limited, used, used_by_cut
from switchyard.gateway.quota.local_shares import LocalShares
from switchyard.gateway.quota.reservations import Reservations, StoreAwayError
from switchyard.gateway.settlements import Settlements, new_call_id
from switchyard.gateway.usage.billing import Billing
from switchyard.gateway.usage.entries import Outcome
from switchyard.http.api_errors import ApiError
from switchyard.store.ledger import Claim, Denial, Grant, Ledger
from switchyard.telemetry.metrics.gateway import UsageMetrics

logger = logging.getLogger(__name__)

_MESSAGES = 32  # of a stream, the estimates of which are held until it is known what all took
_SHADOW_SECONDS = 10.0  # between two lines in the log, of all limits together; the metric has every one


def quota(
    *,
    ledger: Ledger,
    settlements: Settlements,
    shares: LocalShares,
    metrics: UsageMetrics,
    billing: Billing,
    alerts: Alerts,
    estimates: Estimates,
    now: Callable[[], float] = time.time,
) -> Stage:
    """Reject calls that do not fit their limits; ``now`` returns seconds since 1970.

    A running stream is never cut: what it takes beyond its reservation counts against the calls after it.
    """

    def failed(operation: str) -> None:
        metrics.store_errors.labels(operation).inc()
        metrics.store_up.set(0)

    reservations = Reservations(ledger, settlements, failed, lambda: metrics.store_up.set(1))
    applied = AppliedLimits()
    limited = _Quota(_Books(reservations, shares, billing, alerts, estimates), metrics, applied, now)

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        identity = call.identity
        if identity is None or identity.limits is None or not is_limited(call.route):
            return proceed(call)
        assert call.model is not None
        limits = applied.of(identity, call.model.name, now())
        if (
            call.counts is not None
        ):  # of a limit that is used up, nothing may be taken and what takes nothing is no more
            takes = _priced(billing, call.model.name, used(call.counts, 0))
            limits = tuple(one for one in limits if one.spent(takes).amount)
        return limited.run(call, proceed, limits) if limits else proceed(call)

    return stage


@dataclass(frozen=True, slots=True)
class _Books:
    """Where what a call takes is guessed, priced, reserved, settled and told."""

    reservations: Reservations
    shares: LocalShares
    billing: Billing
    alerts: Alerts
    estimates: Estimates


class _Quota:
    def __init__(self, books: _Books, metrics: UsageMetrics, applied: AppliedLimits, now: Callable[[], float]) -> None:
        self._books = books
        self._metrics = metrics
        self._applied = applied
        self._now = now
        self._shadow_logged = float("-inf")

    async def run(self, call: Call, proceed: Proceed, limits: Sequence[AppliedLimit]) -> None:
        identity = call.identity
        assert identity is not None
        assert call.model is not None
        estimate, claims = self._claims(call, limits)
        try:
            call_id, outcome = await self._books.reservations.reserve(identity.tenant, claims, call.call_id)
        except StoreAwayError:
            await self._without_store(call, proceed, limits, estimate, claims)
            return
        self._books.shares.saw(identity.tenant, limits, outcome.levels)
        call.edge.add_headers(responses.headers(limits, outcome.levels, call.route.shape, self._now()))
        if isinstance(outcome, Denial):
            raise self._denied(call, limits, claims, outcome)
        self._note_shadows(limits, outcome)
        await self._settled(call, proceed, _Settling(self._books, call, call_id, limits, estimate))

    def _claims(self, call: Call, limits: Sequence[AppliedLimit]) -> tuple[Amounts, list[Claim]]:
        """Return what a call is likely to take, and what it reserves of each limit."""
        books = self._books
        assert call.model is not None
        guess = books.estimates.of(call) if call.counts is None else used(call.counts, 0)
        most = books.estimates.most(call, guess) if call.counts is None else guess
        estimate = _priced(books.billing, call.model.name, guess)
        most = estimate if most == guess else _priced(books.billing, call.model.name, most)
        return estimate, [one.reserved(estimate, most) for one in limits]

    async def _without_store(
        self,
        call: Call,
        proceed: Proceed,
        limits: Sequence[AppliedLimit],
        estimate: Amounts,
        claims: Sequence[Claim],
    ) -> None:
        """Do as each limit says of a time without the store; days and months are charged when it is back."""
        assert call.identity is not None
        enforced = [one for one in limits if not one.limit.shadow]
        if closed := next((one for one in enforced if one.limit.without_store == "closed"), None):
            raise _unknown(closed)
        call_id, local = call.call_id or new_call_id(), [one for one in enforced if one.limit.without_store == "local"]
        if local:
            try:
                of_local = [claim for one, claim in zip(limits, claims, strict=True) if one in local]
                call_id, outcome = await self._books.shares.reserve(call.identity.tenant, local, of_local)
            except StoreAwayError:
                raise _unknown(local[0]) from None
            if isinstance(outcome, Denial):
                raise _unknown(local[outcome.denied])
        charged = [one for one in limits if one.ends]
        await self._settled(call, proceed, _Settling(self._books, call, call_id, charged, estimate, local))

    async def _settled(self, call: Call, proceed: Proceed, settling: "_Settling") -> None:
        call.settle = settling.settle
        if call.message_checks:
            call.message_checks = (*call.message_checks, partial(self._reserve_message, call, settling))
        try:
            await proceed(call)
        except asyncio.CancelledError:
            settling.cancelled = True
            raise
        except Exception:
            settling.failed = True
            raise
        finally:
            await settling.settle()

    async def _reserve_message(self, call: Call, settling: "_Settling") -> None:
        """Reserve what another message of a stream takes; the stream stays one call in flight."""
        identity, model = call.identity, call.model
        assert identity is not None
        assert model is not None
        limits = [one for one in self._applied.of(identity, model.name, self._now()) if one.limit.per]
        if not limits:
            return
        estimate, claims = self._claims(call, limits)
        try:
            call_id, outcome = await self._books.reservations.reserve(identity.tenant, claims)
        except StoreAwayError:
            if closed := next((one for one in limits if one.limit.without_store == "closed"), None):
                raise _unknown(closed) from None
            return
        self._books.shares.saw(identity.tenant, limits, outcome.levels)
        if isinstance(outcome, Denial):
            raise self._denied(call, limits, claims, outcome)
        self._note_shadows(limits, outcome)
        await settling.hold(_Message(call_id, limits, estimate))

    def _denied(self, call: Call, limits: Sequence[AppliedLimit], claims: Sequence[Claim], denial: Denial) -> ApiError:
        assert call.identity is not None
        assert call.identity.limits is not None
        self._count(limits[denial.denied], "enforced")
        self._books.alerts.denied(call.identity.tenant, limits[denial.denied], denial.levels[denial.denied])
        return responses.denied(limits, claims, denial, call.identity.limits.zone, self._now())

    def _note_shadows(self, limits: Sequence[AppliedLimit], grant: Grant) -> None:
        for one, level in zip(limits, grant.levels, strict=True):
            if one.limit.shadow and level.used > one.most:
                self._count(one, "shadow")
                if self._now() - self._shadow_logged > _SHADOW_SECONDS:
                    self._shadow_logged = self._now()
                    fields = {
                        "limit": one.limit.unit,
                        "per": one.limit.per,
                        "of": one.owner,
                        "most": one.limit.most_units,
                    }
                    logger.info("a shadow limit would deny calls", extra=fields)

    def _count(self, one: AppliedLimit, mode: str) -> None:
        self._metrics.limit_denials.labels(one.limit.unit, one.limit.per or "", mode).inc()


def _unknown(one: AppliedLimit) -> ApiError:
    """Return the error for a call of which nobody knows whether it fits: its limit is closed, or a part used up."""
    message = f"a limit of {one.owner} cannot be checked, as the store does not respond; try again"
    return ApiError("limits_unknown", message, retry_after=1)


@dataclass(frozen=True, slots=True)
class _Message:
    """What a message of a stream after the first has reserved, by an id of its own."""

    call_id: str
    limits: Sequence[AppliedLimit]
    estimate: Amounts


class _Settling:
    """How one call is settled: once, by whoever comes first."""

    def __init__(
        self,
        books: _Books,
        call: Call,
        call_id: str,
        limits: Sequence[AppliedLimit],
        estimate: Amounts,
        local: Sequence[AppliedLimit] = (),
    ) -> None:
        self._books = books
        self._call = call
        self._call_id = call_id
        self._limits = limits
        self._estimate = estimate
        self._local = local
        self._begun = False
        self._messages: deque[_Message] = deque()
        self._charged = Amounts()  # for earlier messages
        self.cancelled = False
        self.failed = False

    async def hold(self, message: "_Message") -> None:
        """Keep what a message of a stream has reserved until the end; of many, charge the earliest as estimated."""
        self._messages.append(message)
        if self._begun:
            await self._settle_message(Amounts())
        elif len(self._messages) > _MESSAGES:
            earliest = self._messages[0].estimate
            self._charged = Amounts(*(sum(both) for both in zip(self._charged, earliest, strict=True)))
            await self._settle_message(earliest)

    async def _settle_message(self, amounts: Amounts) -> None:
        assert self._call.identity is not None
        message = self._messages.popleft()
        claims = [one.spent(amounts) for one in message.limits]
        await self._books.reservations.settle(self._call.identity.tenant, message.call_id, claims, None)

    async def settle(self) -> None:
        """Write what the call took."""
        if self._begun:
            return
        self._begun = True
        assert self._call.identity is not None
        if self.cancelled:
            self._call.usage = used_by_cut(self._call, self._estimate)
        amounts = self._amounts()
        left = Amounts(*(max(0, amount - charged) for amount, charged in zip(amounts, self._charged, strict=True)))
        claims = [one.spent(left) for one in self._limits]
        outcome: Outcome = "error" if self.failed else "cancelled" if self.cancelled else "ok"
        entry = self._books.billing.entry(self._call, self._call_id, outcome)
        tenant = self._call.identity.tenant
        local = [one.spent(amounts) for one in self._local]
        if local:
            await self._books.shares.settle(tenant, self._call_id, local)
        try:
            if levels := await self._books.reservations.settle(tenant, self._call_id, claims, entry):
                self._books.alerts.settled(tenant, self._limits, levels)
        finally:
            self._books.shares.sent(tenant, local)
        while self._messages:  # each was one request; what they took is in the call's own claims
            await self._settle_message(Amounts())

    def _amounts(self) -> Amounts:
        """Return what the call took: nothing if it failed, and what was estimated where no engine says."""
        call, usage = self._call, self._call.usage
        assert call.model is not None
        if self.failed or call.status >= 400 or not (call.status or self.cancelled):
            return Amounts()
        if usage is not None:
            if not self.cancelled and self._call.counts is None:
                self._books.estimates.learn(call, usage)
            return used(usage, self._books.billing.cost(call.model.name, usage))
        return Amounts() if self.cancelled else self._estimate


def _priced(billing: Billing, model: str, estimate: Amounts) -> Amounts:
    return estimate._replace(nano_dollars=billing.cost(model, as_usage(estimate)))
