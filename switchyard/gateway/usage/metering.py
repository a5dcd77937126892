"""Stage: writes the usage of calls that no limit settles."""

import asyncio

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.quota.estimates import Estimates, used_by_cut
from switchyard.gateway.settlements import Settlements, new_call_id
from switchyard.gateway.usage.billing import Billing, is_metered
from switchyard.gateway.usage.entries import Outcome


def metering(*, settlements: Settlements, billing: Billing, estimates: Estimates) -> Stage:
    """Write the entry of each call that uses a model, once; ``quota`` does so for calls that have limits."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.identity is None or call.settle is not None or not is_metered(call.route):
            await proceed(call)
            return
        writing = _Writing(settlements, billing, estimates, call)
        call.settle = writing.settle
        try:
            await proceed(call)
        except asyncio.CancelledError:
            writing.outcome = "cancelled"
            raise
        except Exception:
            writing.outcome = "error"
            raise
        finally:
            await writing.settle()

    return stage


class _Writing:
    """Writes one call to the ledger, once."""

    def __init__(self, settlements: Settlements, billing: Billing, estimates: Estimates, call: Call) -> None:
        self._settlements = settlements
        self._billing = billing
        self._estimates = estimates
        self._estimate = estimates.of(call)  # now, as the body is released before the end
        self._call = call
        self._begun = False
        self.outcome: Outcome = "ok"

    async def settle(self) -> None:
        """Write the entry, the first time."""
        if self._begun:
            return
        self._begun = True
        call, identity = self._call, self._call.identity
        assert identity is not None
        if self.outcome == "cancelled":
            call.usage = used_by_cut(call, self._estimate)
        elif call.usage is not None and call.counts is None and self.outcome == "ok" and call.status < 400:
            self._estimates.learn(call, call.usage)
        call_id = call.call_id or new_call_id()
        entry = self._billing.entry(call, call_id, self.outcome)
        await self._settlements.settle(identity.tenant, call_id, (), entry)
