"""Reservations of the calls in flight: made, renewed together while calls run, settled once."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from switchyard.gateway.settlements import new_call_id
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Claim, Denial, Entry, Grant, Ledger, Level

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A gateway that was killed holds what its calls had reserved for so long. Three renewals fit in, so that one that is
# late, or one that fails, ends no reservation of a call that runs.
LEASE_SECONDS = 30.0
_RENEW_SECONDS = LEASE_SECONDS / 3
_AWAY_SECONDS = 1.0  # a store that did not respond is asked so often, and not by calls: each would wait for it


class StoreAwayError(Exception):
    """The store does not respond, or did not a moment ago."""


class Settler(Protocol):
    """Who is told what a call took: ``Settlements``, or a ledger that is never away."""

    async def settle(
        self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None
    ) -> Sequence[Level] | None:
        """Write what a call took, as ``Ledger.settle``."""


class Reservations:
    """What this process has reserved in a ledger.

    ``on_error`` hears which operation failed, ``on_response`` of one in the background that did not.
    """

    def __init__(
        self,
        ledger: Ledger,
        settlements: Settler,
        on_error: Callable[[str], None],
        on_response: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._settlements = settlements
        self._on_error = on_error
        self._on_response = on_response
        self._loop = asyncio.get_running_loop()
        self._live: dict[str, set[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._away = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def reserve(self, owner: str, claims: Sequence[Claim], call_id: str = "") -> tuple[str, Grant | Denial]:
        """Reserve ``claims``; return the id of the call in the ledger, a new one unless it is given, and the outcome.

        Raises:
            StoreAwayError: nobody knows.
        """
        call_id = call_id or new_call_id()
        if self._away:
            raise StoreAwayError
        try:
            outcome = await self._ledger.reserve(owner, call_id, claims, lease=LEASE_SECONDS)
        except StoreError as err:
            self._failed("reserve", err)
            if not self._away:
                self._away = True
                self._start(self._wait_for_store(owner))
            raise StoreAwayError from err
        except asyncio.CancelledError:
            # It may have been made: without this it would hold what the call never used until its lease ends.
            self._start(self._settlements.settle(owner, call_id, [], None))
            raise
        if isinstance(outcome, Grant):
            self._live.setdefault(owner, set()).add(call_id)
            if self._timer is None:
                self._timer = self._loop.call_later(_RENEW_SECONDS, self._renew_all)
        return call_id, outcome

    async def settle(self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None) -> Sequence[Level]:
        """Write what a call took; it is written even if whoever awaits this is cancelled. Never raises ``StoreError``.

        Returns the levels of ``claims``, of none where the store is away or the call was settled. A store that is away
        has what was reserved until the lease ends, and what the call took when it is back.
        """
        if (ids := self._live.get(owner)) is not None:
            ids.discard(call_id)
            if not ids:
                del self._live[owner]
        return await self._settlements.settle(owner, call_id, claims, entry) or ()

    async def _wait_for_store(self, owner: str) -> None:
        while self._away:
            await asyncio.sleep(_AWAY_SECONDS)
            try:
                await self._ledger.renew(
                    owner, [], lease=LEASE_SECONDS
                )  # waits as a reservation would, and changes nothing
            except StoreError as err:
                logger.debug("the store is still away: %s", err)
            else:
                self._away = False
                self._on_response()

    def _renew_all(self) -> None:
        self._timer = None
        if self._live:
            self._timer = self._loop.call_later(_RENEW_SECONDS, self._renew_all)
            self._start(self._renew({owner: [*ids] for owner, ids in self._live.items()}))

    async def _renew(self, calls: dict[str, list[str]]) -> None:
        for owner, ids in calls.items():
            try:
                await self._ledger.renew(owner, ids, lease=LEASE_SECONDS)
            except StoreError as err:
                self._failed("renew", err)
            else:
                self._on_response()

    def _start(self, work: Coroutine[None, None, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task

    def _failed(self, operation: str, err: StoreError) -> None:
        self._on_error(operation)
        logger.warning("the store did not %s: %s", operation, err)
