"""A response in the making: a task of its own, which its clients join and leave."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from traceback import clear_frames

from switchyard.gateway.call import Call
from switchyard.gateway.errors import as_api_error
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.recordings.format import Failure
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.recorder import Recorder
from switchyard.gateway.recordings.writer import SegmentWriter
from switchyard.gateway.settlements import new_call_id
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Bounds

logger = logging.getLogger(__name__)

RUNNING_SECONDS = 86400.0  # for which a recording that was begun is remembered; what is complete has its own time
UNATTENDED = 256  # as many as responses in the background
_FOLLOWED_SECONDS = 1.0  # between looks whether a client still reads at another gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be recorded.

    ``names`` lead to it in ``scope``; it is claimed under the first. ``fingerprint`` says what is asked. A complete
    response is kept for ``seconds`` if ``keeps`` says so, and the work goes on for ``lasts`` seconds without a client.
    With ``report_lost`` a claim finds an attempt that was lost, once. An ``exclusive`` one ends when another gateway
    has begun it anew. With ``keeps_failed`` a response that failed is kept too.
    """

    scope: str
    names: Sequence[str]
    fingerprint: bytes = b""
    seconds: float
    lasts: float = 0.0
    report_lost: bool = False
    exclusive: bool = False
    keeps: Callable[["Generation"], bool] = lambda generation: True
    keeps_failed: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    id: str = field(default_factory=new_call_id)


class Unattended:
    """How many responses go on without a client: nothing else bounds them, as clients that left hold no place."""

    def __init__(self, most: int = UNATTENDED) -> None:
        self._most = most
        self._those: set[Generation] = set()

    def enter(self, one: "Generation") -> bool:
        """Count another one; return False if there are as many as there may be."""
        if len(self._those) >= self._most:
            return False
        self._those.add(one)
        return True

    def leave(self, one: "Generation") -> None:
        """Count one that has a client again, or has ended."""
        self._those.discard(one)


class Generation:
    """One response that this process makes, for any number of clients.

    When the last of them has left, the work is cancelled, at once unless its plan says otherwise. When it is over and
    written, ``ended`` is awaited, unless another writer has it, and ``on_end`` called.
    """

    def __init__(
        self,
        plan: Plan,
        call: Call,
        writer: SegmentWriter,
        unattended: Unattended,
        ended: Callable[[], Awaitable[None]] | None,
        on_end: Callable[["Generation"], None],
    ) -> None:
        self.plan = plan
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._writer = writer
        self._unattended = unattended
        self._ended = ended
        self._on_end = on_end
        self._players = 0
        self._cancelled = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        message = "the client that began this request left; send it again"
        self._why = ApiError("idempotency_unknown", message, retry_after=1)
        self.began_by = call
        self.call = copy(call)
        self.recorder = Recorder(call, writer)
        self.call.edge = self.recorder
        self.recorder.made = self.call

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return self._loop.time() - self._began

    @property
    def failed(self) -> bool:
        """Whether it will not come to a good end, as it was cancelled or has ended with an error."""
        end = self.recorder.end_entry
        return end.failure is not None if end is not None else self._cancelled

    @property
    def outcome(self) -> str:
        """What became of its recording."""
        return self._writer.outcome

    async def so_far(self) -> bytes:
        """Return what is recorded until now.

        Raises:
            StoreError: the store does not respond.
        """
        writer, data = self._writer, b""
        while len(data) < writer.stored:
            more = await writer.read(len(data))
            if not more:
                break
            data += more
        return data + writer.unstored(len(data))

    def run(self, proceed: Proceed) -> None:
        """Begin the work: ``proceed`` with a copy of the call, in a task of its own."""
        self._task = self._loop.create_task(self._run(proceed))

    def superseded(self) -> None:
        """End an exclusive one: another gateway makes this response now."""
        if self.plan.exclusive:
            message = "another gateway began this request anew; send it again with the same key"
            self.cancel(ApiError("idempotency_unknown", message, retry_after=1))

    def cancel(self, why: ApiError | None = None) -> None:
        """Cancel the work; ``why`` is what its clients are sent."""
        self._why = why or self._why
        if self._task is not None and self.recorder.end_entry is None:
            self._cancelled = True
            self._task.cancel()

    async def wait(self) -> None:
        """Return when it is over and written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def play(self, player: Player) -> None:
        """Send it to a client, from its beginning to its end.

        Raises:
            ApiError: the response ended with an error, or this client is too slow for what is kept of it.
        """
        self._players += 1
        self._unattended.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        try:
            while not player.done:
                await self._catch_up(player)
        finally:
            self.recorder.detach(player)
            self._players -= 1
            if not self._players:
                self._left()

    async def _catch_up(self, player: Player) -> None:
        writer, recorder = self._writer, self.recorder
        if player.place < writer.stored:
            player.feed(await self._read(player.place))
            if player.congested:
                await player.drain()
            return
        player.feed(writer.unstored(player.place))
        if player.done:
            return
        if player.place < writer.end:
            raise ApiError("idempotency_unknown", "this response is not kept, and was not read in time", retry_after=1)
        if recorder.end_entry is None:
            await recorder.attach(player)
        if not player.done and player.place == writer.end and recorder.end_entry is not None:
            player.end(recorder.end_entry)

    async def _read(self, place: int) -> bytes:
        try:
            data = await self._writer.read(place)
        except StoreError as err:
            message = "the store of responses does not respond; try again"
            raise ApiError("store_unavailable", message, retry_after=1) from err
        if not data:
            raise ApiError("idempotency_unknown", "this response is not kept any more; send it again", retry_after=1)
        return data

    def _left(self) -> None:
        if self.recorder.end_entry is not None:
            return
        if self.plan.lasts and self._unattended.enter(self):
            self._timer = self._loop.call_later(self.plan.lasts, self.cancel)
        elif self._writer.followed:
            self._timer = self._loop.call_later(_FOLLOWED_SECONDS, self._left)
        else:
            self.cancel()

    async def _run(self, proceed: Proceed) -> None:
        call, recorder = self.call, self.recorder
        try:
            await proceed(call)
            if recorder.end_entry is None:
                raise RuntimeError(f"no response to {call.route.path}")
        except asyncio.CancelledError:
            recorder.failed(Failure.of(self._why))
        except Exception as err:
            model = call.model_name if call.model is None else call.model.name
            recorder.failed(Failure.of(as_api_error(err, model)))
            clear_frames(err.__traceback__)
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._writer.finish(complete=self._is_complete())
            if self._ended is not None and not self._writer.superseded:
                await self._ended()
        except StoreError as err:
            logger.warning("what a lost attempt left is forgotten later: %s", err)
        finally:
            self._unattended.leave(self)
            self._on_end(self)

    def _is_complete(self) -> bool:
        end, call = self.recorder.end_entry, self.call
        if self.plan.keeps_failed:
            return True
        if end is None or end.failure is not None or call.broken or call.error is not None:
            return False
        has_worked = call.status < 400 and isinstance(self.recorder.code, int) and self.recorder.code < 400
        return has_worked and self.plan.keeps(self)
