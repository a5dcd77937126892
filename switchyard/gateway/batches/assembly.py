"""Puts the parts of batches together for a gateway."""

import asyncio
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from switchyard.catalog import Model
from switchyard.gateway.admission.queues import Queues
from switchyard.gateway.batches.batch import Owner
from switchyard.gateway.batches.endpoints import batches
from switchyard.gateway.batches.lines.line import ATTEMPTS, Failed, Limited, Outcome, ask
from switchyard.gateway.batches.lines.requests import Request
from switchyard.gateway.batches.run import NoOwnerError, Work
from switchyard.gateway.batches.runner import BatchRunner
from switchyard.gateway.batches.slots import LineSlots, Load
from switchyard.gateway.batches.stored_batches import StoredBatches
from switchyard.gateway.files.storage import Storage
from switchyard.gateway.keys.finder import KeyFinder
from switchyard.gateway.lookup import Visible
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.routes.match import Router
from switchyard.gateway.tenants.directory import Identity, RejectedKeyError
from switchyard.http.api_errors import ApiError
from switchyard.telemetry.metrics.gateway import BatchMetrics

Kind = Literal["ok", "failed", "retried", "limited"]


class ModelPlaces:
    """The places that lines may take of one model, wherever it is at the time."""

    def __init__(self, slots: LineSlots, find: Callable[[], Model | None]) -> None:
        self._slots = slots
        self._find = find

    def take(self) -> Callable[[], None] | None:
        """Take a place; return how it is given back, None if there is none."""
        try:
            model = self._find()
        except ApiError:  # the catalog cannot be read
            return None
        # Of one that does not exist too: its lines get the error that any call gets.
        server, places = ("", None) if model is None else (model.url, model.concurrency)
        return partial(self._slots.give_back, server) if self._slots.take(server, places) else None


class Batches:
    """Batches of a gateway: what responds to requests about them, and what works on them; none without ``storage``.

    ``now`` returns seconds since 1970.
    """

    def __init__(
        self,
        storage: Storage | None,
        router: Router,
        metrics: BatchMetrics,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        for kind in get_args(Kind):
            metrics.lines.labels(kind)  # at 0: a rate sees the first one too
        self._storage = storage
        self._router = router
        self._now = now
        self._stored = None if storage is None else StoredBatches(storage.records, now=now)
        self.files = None if storage is None else storage.files
        self.stage = batches(stored=self._stored, files=self.files, router=router, now=now)

    def runner(
        self,
        proceed: Proceed,
        visible: Visible,
        keys: KeyFinder | None,
        queues: Queues | None,
        in_flight: Callable[[], int],
    ) -> BatchRunner | None:
        """Return what works on batches, by running calls through the stages.

        ``keys`` says who may do what. Clients' calls to a model are those of its queue; without ``queues`` all that
        are in flight count, as on one machine all models share it.
        """
        if self.files is None or self._stored is None:
            return None

        def load(server: str) -> Load:
            if queues is None:
                return Load(in_flight() - slots.all_held, 0)
            held, waiting = queues.load(server)
            return Load(held - slots.held(server), waiting)

        def identify(owner: Owner) -> Identity | None:
            return None if keys is None else _identity(keys, owner, self._now)

        def places(name: str, identity: Identity | None) -> ModelPlaces:
            return ModelPlaces(slots, lambda: visible.to(identity).get(name))

        async def run_line(batch_id: str, request: Request, identity: Identity | None, attempt: int) -> Outcome:
            # In a task of its own: the stages set what its log lines say.
            outcome = await asyncio.create_task(ask(proceed, batch_id, request, identity, attempt))
            self._metrics.lines.labels(_kind(outcome, attempt)).inc()
            return outcome

        slots = LineSlots(load, share=queues is None)
        work = Work(
            runner=secrets.token_hex(8),
            batches=self._stored,
            files=self.files,
            router=self._router,
            identify=identify,
            places=places,
            ask=run_line,
            now=self._now,
        )
        runner = BatchRunner(work)
        self._metrics.lines_running.set_function(lambda: slots.all_held)
        self._metrics.running.set_function(lambda: runner.running)
        self._metrics.waiting.set_function(lambda: runner.waiting)
        return runner


def _kind(outcome: Outcome, attempt: int) -> Kind:
    if isinstance(outcome, Limited):
        return "limited"
    if isinstance(outcome, Failed):
        return "failed" if attempt == ATTEMPTS else "retried"
    return "failed" if outcome.failed else "ok"


def _identity(keys: KeyFinder, owner: Owner, now: Callable[[], float]) -> Identity:
    try:
        return keys.identify(owner.tenant, owner.team, owner.key_id, frozenset(owner.roles), now)
    except RejectedKeyError as err:
        message = f"the key {owner.key_id} that made this batch gives no access any more: {err.why}"
        raise NoOwnerError(message) from err
