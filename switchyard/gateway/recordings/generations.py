"""All responses that this process makes and records, and the store of those that are made."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.recordings.generation import RUNNING_SECONDS, Generation, Plan, Unattended
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.replay import replay
from switchyard.gateway.recordings.rpc import RpcRecording
from switchyard.gateway.recordings.writer import LEASE_SECONDS, Kept, SegmentWriter, UnstoredMemory
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page, Recordings
from switchyard.telemetry.metrics.gateway import RecordingMetrics

Found = Generation | Page
Ended = Callable[[], Awaitable[None]]


class Generations:
    """Begins and finds responses that are recorded; the package's docstring shows how."""

    def __init__(self, store: Recordings, metrics: RecordingMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._memory = UnstoredMemory()
        self._unattended = Unattended()
        self._running: dict[tuple[str, str], Generation] = {}  # by each of their names
        self._all: set[Generation] = set()
        self._ending: set[asyncio.Task[None]] = set()
        metrics.running.set_function(lambda: self.running)
        metrics.unstored.set_function(lambda: self._memory.used)
        for outcome in ("kept", "failed", "given_up", "superseded"):
            metrics.recordings.labels(outcome)  # at 0: a rate sees the first one too

    @property
    def running(self) -> int:
        """How many responses are made now."""
        return len(self._all)

    @property
    def store(self) -> Recordings:
        """Where recordings are kept."""
        return self._store

    def find(self, scope: str, name: str) -> Generation | None:
        """Return the response to which a name leads, if this process makes it and it has not failed."""
        found = self._running.get((scope, name))
        return None if found is None or found.failed else found

    async def claim(self, plan: Plan) -> Page | None:
        """Return what the store has under the plan's name; None if it is this caller's to ``start``.

        Raises:
            StoreError: the store does not respond.
        """
        name, *aliases = plan.names
        await self.wait_for_failed(plan.scope, name)
        return await self._store.claim(
            plan.scope,
            name,
            plan.id,
            plan.fingerprint,
            lease=LEASE_SECONDS,
            ttl=RUNNING_SECONDS,
            aliases=aliases,
            report_lost=plan.report_lost,
        )

    async def wait_for_failed(self, scope: str, name: str) -> None:
        """Wait until the store knows of a response that failed here, and makes room for another."""
        if (failed := self._running.get((scope, name))) is not None and failed.failed:
            await failed.wait()

    def of_rpc(self, plan: Plan, ended: Ended | None) -> RpcRecording:
        """Return what records the response of a gRPC call that was claimed; ``ended`` as in ``start``."""
        kept = Kept(scope=plan.scope, id=plan.id, seconds=plan.seconds, bounds=plan.bounds)
        writer = SegmentWriter(self._store, kept, self._memory)

        def end(complete: bool) -> None:
            # In a task of its own: the call's is cancelled when its client leaves, and no client waits for the store.
            ending = asyncio.create_task(self._finish(writer, ended, complete=complete))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

        return RpcRecording(writer, end)

    async def _finish(self, writer: SegmentWriter, ended: Ended | None, *, complete: bool) -> None:
        await writer.finish(complete=complete)
        if ended is not None and not writer.superseded:
            with suppress(StoreError):
                await ended()
        self._metrics.recordings.labels(writer.outcome).inc()

    def start(self, plan: Plan, call: Call, proceed: Proceed, ended: Ended | None = None) -> Generation:
        """Make a response that was claimed, by ``proceed`` with a copy of the call in a task of its own.

        ``ended`` is awaited when it is over and written, unless its writer was superseded.
        """
        kept = Kept(scope=plan.scope, id=plan.id, seconds=plan.seconds, bounds=plan.bounds)
        generation: Generation | None = None

        def superseded() -> None:
            assert generation is not None
            generation.superseded()

        writer = SegmentWriter(self._store, kept, self._memory, superseded)
        generation = Generation(plan, call, writer, self._unattended, ended, self._over)
        self._all.add(generation)
        for name in plan.names:
            self._running[plan.scope, name] = generation
        generation.run(proceed)
        return generation

    async def play(self, found: Found, scope: str, player: Player, call: Call) -> None:
        """Send a response to a client, and note in ``call`` how it went.

        Raises:
            ApiError: the response ended with an error, was lost, or cannot be read.
        """
        try:
            if isinstance(found, Generation):
                await found.play(player)
            else:
                await replay(self._store, scope, found, player)
        finally:
            call.broken = call.broken or player.broken
            if isinstance(found, Generation):
                made = found.call
                call.status, call.broken, call.error = made.status, call.broken or made.broken, made.error
                call.sent, call.tier = made.sent, made.tier
                call.usage = made.usage if found.began_by is call else None

    async def aclose(self) -> None:
        """End what still runs; the store is not closed."""
        running = tuple(self._all)
        for one in running:
            one.cancel(ApiError("shutting_down", "the gateway shuts down; send the request again"))
        await asyncio.gather(*(one.wait() for one in running), *self._ending)

    def _over(self, generation: Generation) -> None:
        self._all.discard(generation)
        plan = generation.plan
        for name in plan.names:
            if self._running.get((plan.scope, name)) is generation:
                del self._running[plan.scope, name]
        self._metrics.recordings.labels(generation.outcome).inc()
