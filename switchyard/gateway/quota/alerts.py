"""Says that a budget, a limit of a day or month, is used to a part: once in a log, a metric and a webhook."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import orjson

from switchyard.backoff import Backoff
from switchyard.gateway.quota.claims import AppliedLimit
from switchyard.gateway.quota.webhook import Webhook, WebhookError
from switchyard.gateway.settlements import new_call_id
from switchyard.gateway.tenants.limits import SCALES
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Claim, Grant, Ledger, Level
from switchyard.telemetry.metrics.gateway import UsageMetrics

logger = logging.getLogger(__name__)

_LEASE_SECONDS = 60.0  # longer than an attempt and the pause after it: another gateway goes on where one was killed
_ATTEMPTS = 8  # over about a minute
_BACKOFF = Backoff(first=1.0, most=30.0)
_AGAIN_SECONDS = 120.0  # after which a call of the tenant lets an alert be tried again that is not known to be sent
_WAITING = 1000  # alerts that are being told at a time: others wait for the next call of their tenant
_REMEMBERED = 10_000  # alerts that were told: the store knows those that are forgotten here


@dataclass(frozen=True, slots=True)
class Alert:
    """That ``used`` of a budget's ``limit`` is ``percent`` of it or more, or that a call was ``denied`` by it."""

    tenant: str
    budget: AppliedLimit
    percent: int
    used: int
    denied: bool

    @property
    def name(self) -> str:
        """What tells it from all others of its tenant, in every gateway."""
        return f"alert {self.budget.counter} {self.percent}"

    @property
    def message_id(self) -> str:
        """The id of its message, by which a receiver knows one that comes again."""
        return "alert_" + hashlib.sha256(f"{self.tenant} {self.name}".encode()).hexdigest()[:32]

    def fields(self) -> dict[str, object]:
        """Return what is said of it, in the units of the limit."""
        limit = self.budget.limit
        scale = SCALES.get(limit.unit, 1)
        return {
            "tenant": self.tenant,
            "of": self.budget.owner,
            "limit": limit.unit,
            "per": limit.per,
            "models": list(limit.models) or ["*"],
            "percent": self.percent,
            "used": self.used if scale == 1 else self.used / scale,
            "most": limit.most_units,
            "denied": self.denied,
            "shadow": limit.shadow,
            "ends": _rfc3339(self.budget.ends),
        }

    def sentence(self) -> str:
        """Return what a person is told of it, as chats show a webhook's ``text``."""
        said, limit = self.fields(), self.budget.limit
        models = f" for {', '.join(limit.models)}" if limit.models else ""
        budget = f"{said['most']} {limit.unit} per {limit.per}{models}"
        denies = " It denies calls until then." if self.denied and not limit.shadow else ""
        used = f"{said['of']} has used {self.percent} % of its {budget}: {said['used']}."
        return f"{used} The next {limit.per} begins at {said['ends']}.{denies}"


class Alerts:
    """Tells each alert once in a budget's day or month, whichever gateway of a store sees it first.

    ``percents`` are the parts. No call waits for any of it. A gateway that is killed while it sends is followed by
    another one, when a call of the tenant comes; so a message may arrive twice, with the same id.
    """

    def __init__(
        self,
        ledger: Ledger,
        metrics: UsageMetrics,
        percents: Sequence[int],
        webhook: Webhook | None = None,
        *,
        backoff: Backoff = _BACKOFF,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._percents = sorted(percents)
        self._webhook = webhook
        self._backoff = backoff
        self._now = now
        self._quiet_until: dict[tuple[str, str, int], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def settled(self, tenant: str, limits: Sequence[AppliedLimit], levels: Sequence[Level]) -> None:
        """Look at what is used of limits after a call."""
        if not self._percents:
            return
        least = self._percents[0]
        for one, level in zip(limits, levels, strict=True):
            if one.ends and level.used * 100 >= least * one.most:
                self._reached(tenant, one, level.used)

    def denied(self, tenant: str, one: AppliedLimit, level: Level) -> None:
        """Note that a limit has denied a call: it is used up, whatever little is left."""
        if one.ends:
            self._reached(tenant, one, level.used, denied=True)

    async def aclose(self) -> None:
        """Tell nothing more; what is not told yet is for another gateway, by the next call of its tenant."""
        self._percents = []
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reached(self, tenant: str, one: AppliedLimit, used: int, *, denied: bool = False) -> None:
        for percent in self._percents:
            if used * 100 < percent * one.most and not (denied and percent == 100):
                continue
            key, now = (tenant, one.counter, percent), self._now()
            if self._quiet_until.get(key, 0.0) <= now and len(self._tasks) < _WAITING:
                self._remember(key, now + _AGAIN_SECONDS)
                task = asyncio.create_task(self._tell(key, Alert(tenant, one, percent, used, denied)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _remember(self, key: tuple[str, str, int], until: float) -> None:
        if len(self._quiet_until) >= _REMEMBERED and key not in self._quiet_until:
            self._quiet_until.clear()
        self._quiet_until[key] = until

    async def _tell(self, key: tuple[str, str, int], alert: Alert) -> None:
        try:
            if logged := await self._claimed(alert, "log"):
                await logged.keep()
                limit = alert.budget.limit
                logger.warning("a budget is used to %d %%", alert.percent, extra=alert.fields())
                self._metrics.budget_alerts.labels(limit.unit, limit.per or "", str(alert.percent)).inc()
            if self._webhook is None:
                self._remember(key, alert.budget.ends)
            elif sending := await self._claimed(alert, "webhook"):
                try:
                    sent = await self._sent(self._webhook, alert, sending)
                except BaseException:
                    await asyncio.shield(sending.give_back())
                    raise
                if sent:
                    await sending.keep()
                    self._remember(key, alert.budget.ends)
                else:
                    await sending.give_back()
        except StoreError as err:
            logger.warning("the store does not say whether a budget's alert was told: %s", err)

    async def _sent(self, webhook: Webhook, alert: Alert, sending: "_Claimed") -> bool:
        about = {"type": "budget.threshold_reached", "timestamp": _rfc3339(self._now()), "text": alert.sentence()}
        body = orjson.dumps({**about, "data": alert.fields()})
        for failures in range(1, _ATTEMPTS + 1):
            try:
                await webhook.send(alert.message_id, body)
            except WebhookError as err:
                self._metrics.webhook_attempts.labels("failed").inc()
                logger.warning("a webhook failed: %s", err, extra={"attempt": failures, "webhook_id": alert.message_id})
            else:
                self._metrics.webhook_attempts.labels("delivered").inc()
                return True
            if failures < _ATTEMPTS:
                await asyncio.sleep(self._backoff.pause(failures))
                await sending.renew()
        logger.error("a budget's alert was not delivered", extra=alert.fields())
        return False

    async def _claimed(self, alert: Alert, way: Literal["log", "webhook"]) -> "_Claimed | None":
        """Claim to tell an alert in one way; None if another gateway has."""
        claim = Claim(f"{alert.name} {way}", 1, 1, "period", ends=alert.budget.ends)
        claimed = _Claimed(self._ledger, alert.tenant, new_call_id(), claim)
        outcome = await self._ledger.reserve(alert.tenant, claimed.call_id, [claim], lease=_LEASE_SECONDS)
        return claimed if isinstance(outcome, Grant) else None


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claim of this gateway, which ends by itself if the gateway is killed."""

    ledger: Ledger
    tenant: str
    call_id: str
    claim: Claim

    async def renew(self) -> None:
        await self.ledger.renew(self.tenant, [self.call_id], lease=_LEASE_SECONDS)

    async def keep(self) -> None:
        """Let nobody claim it again."""
        await self.ledger.settle(self.tenant, self.call_id, [self.claim], None)

    async def give_back(self) -> None:
        """Let another one claim it."""
        with suppress(StoreError):  # then it ends with its lease
            await self.ledger.settle(self.tenant, self.call_id, [self.claim._replace(amount=0)], None)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
