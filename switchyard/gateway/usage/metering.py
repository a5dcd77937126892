"""Stage: writes the usage of calls that no limit settles."""

import asyncio

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.settlements import Settlements, new_call_id
from switchyard.gateway.usage.billing import Billing, is_metered
from switchyard.gateway.usage.entries import Outcome


def metering(*, settlements: Settlements, billing: Billing) -> Stage:
    """Write the entry of each call that uses a model, once; ``quota`` does so for calls that have limits."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.identity is None or call.settle is not None or not is_metered(call.route):
            await proceed(call)
            return
        writing = _Writing(settlements, billing, call)
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

    def __init__(self, settlements: Settlements, billing: Billing, call: Call) -> None:
        self._settlements = settlements
        self._billing = billing
        self._call = call
        self._begun = False
        self.outcome: Outcome = "ok"

    async def settle(self) -> None:
        """Write the entry, the first time."""
        if self._begun:
            return
        self._begun = True
        identity = self._call.identity
        assert identity is not None
        call_id = new_call_id()
        entry = self._billing.entry(self._call, call_id, self.outcome)
        await self._settlements.settle(identity.tenant, call_id, (), entry)
