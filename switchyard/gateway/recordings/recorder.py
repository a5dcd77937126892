"""The edge that a model's response goes to while it is recorded: to the store, and to all clients that wait for it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from switchyard.gateway.call import Call
from switchyard.gateway.recordings.events import EventBlocks, is_comment
from switchyard.gateway.recordings.format import End, Failure, Head, encode_chunk, encode_end, encode_head
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.writer import RECORDING_BYTES, SegmentWriter
from switchyard.http.api_errors import ApiError
from switchyard.http.client.response import Sink
from switchyard.http.headers import Header

_LAST = 4  # events that are remembered: a choice's end, the usage and ``[DONE]`` come last
_TAIL_BYTES = 4096


class Recorder:
    """An ``Edge`` in place of the client's, which is ``call.edge`` here.

    Each chunk goes on to the clients that have had all before it, within the write that brought it. One that does not
    keep up while others do is left behind and reads from the store; when none keeps up, the model waits. Comments go
    to the clients and are not recorded. ``made`` is the call of the work, which knows what it used.
    """

    __slots__ = (
        *("_began", "_blocks", "_call", "_changed", "_events", "_head", "_last", "_live", "_loop", "_now", "_writer"),
        *("cancelled", "code", "end_entry", "made"),
    )

    def __init__(self, call: Call, writer: SegmentWriter, now: Callable[[], float] = time.time) -> None:
        self._call = call
        self.made = call
        self._writer = writer
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._live: dict[Player, None] = {}
        self._head: Head | None = None
        self._blocks: EventBlocks | None = None
        self._events = 0
        self._last: list[bytes] = []
        self._changed: asyncio.Future[None] | None = None
        self.end_entry: End | None = None
        self.code: int | str = 0
        self.cancelled: int | str = call.edge.cancelled

    # -- for its readers

    @property
    def head(self) -> Head | None:
        """How the response began; None until it has."""
        return self._head

    @property
    def tail(self) -> bytes:
        """The last events, or the end of another response."""
        return b"".join(self._last)[-_TAIL_BYTES:]

    @property
    def events(self) -> int:
        """How many events there are."""
        return self._events

    def attach(self, player: Player) -> asyncio.Future[None]:
        """Feed a player that has had all until now; the future is done when it is done, or left behind."""
        self._live[player] = None
        player.released = self._loop.create_future()
        self._notify()
        return player.released

    def detach(self, player: Player) -> None:
        """Feed a player no more."""
        self._live.pop(player, None)
        self._notify()

    # -- the edge

    @property
    def caller(self) -> str:
        return self._call.edge.caller

    @property
    def started(self) -> bool:
        return self._head is not None

    def held_for(self, owner: str) -> None:
        self._call.edge.held_for(owner)

    async def body(self, limit: int) -> bytes:
        return await self._call.edge.body(limit)

    def release(self) -> None:
        self._call.edge.release()

    def add_headers(self, headers: Sequence[Header]) -> None:
        """Add headers to the response of the client that began it alone: what they say is of this moment."""
        if not self._call.edge.started:
            self._call.edge.add_headers(headers)

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self._begin(status, headers, whole=True)
        if self._blocks is not None:  # a stream that came at once
            self.write(body)
            self.end()
            return
        self._record([body])
        self._end(End(usage=self.made.usage))

    def start(self, status: int, headers: list[Header]) -> None:
        self._begin(status, headers, whole=False)

    def write(self, data: bytes) -> None:
        if self._blocks is None:
            self._record([data])
            return
        if self._blocks.is_event(data):
            self._record_event(data)
            return
        blocks = self._cut(data)
        if b":" not in {block[:1] for block in blocks}:
            if blocks:
                self._record(blocks)
            return
        for block in blocks:
            if is_comment(block):
                for player in self._live:
                    player.edge.write(block)
            else:
                self._record([block])

    def end(self) -> None:
        if self._blocks is not None and (rest := self._blocks.rest()):
            self._record([rest])
        self._end(End(usage=self.made.usage))

    def fail(self, error: Exception) -> None:
        raise NotImplementedError  # stages raise, and ``failed`` is for who runs them

    def failed(self, failure: Failure) -> None:
        """End the response with an error, unless it has ended."""
        if self.end_entry is None:
            self._end(End(failure, self.made.usage))

    @property
    def sink(self) -> Sink:
        return self

    @property
    def congested(self) -> bool:
        """Whether the model is to wait: for the quickest client, or for all where nobody can catch up."""
        if not self._live:
            return False
        some = any if self._writer.given_up else all
        return some(player.congested for player in self._live)

    async def drain(self) -> None:
        while self.congested:
            self._changed = self._loop.create_future()
            waits = [self._loop.create_task(player.drain()) for player in self._live if player.congested]
            try:
                await asyncio.wait([self._changed, *waits], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
                self._changed = None

    # -- the rest

    def _begin(self, status: int, headers: list[Header], *, whole: bool) -> None:
        call = self._call
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        events = content_type.startswith(b"text/event-stream")
        self._head = head = Head(
            status=status,
            headers=tuple(headers),
            route=call.route.path,
            model=call.model_name,
            shape=call.route.shape,
            request_id=call.request_id.decode(),
            began=self._now(),
            events=events,
            whole=whole and not events,
        )
        self.code = status
        self._blocks = EventBlocks() if events else None
        self._writer.add(encode_head(head))
        for player in tuple(self._live):
            try:
                player.start(head)
            except ApiError as err:  # this client's own, and no other's
                self._let_go(player, err)

    def _cut(self, data: bytes) -> list[bytes]:
        assert self._blocks is not None
        blocks = self._blocks.feed(data)
        if self._blocks.held > RECORDING_BYTES:  # an event without end: nothing of it may fill the memory
            self._writer.give_up()
            blocks.append(self._blocks.rest())
            self._blocks = None
        return blocks

    def _record(self, chunks: list[bytes]) -> None:
        """Record events, or bytes of another response, and send them on."""
        self._leave_behind()
        at = int((self._loop.time() - self._began) * 1000)
        self._events += len(chunks)
        self._last = chunks[-_LAST:] if len(chunks) >= _LAST else [*self._last[len(chunks) - _LAST :], *chunks]
        self._writer.add(b"".join([encode_chunk(at, chunk) for chunk in chunks]))
        for player in self._live:
            player.chunks(chunks)

    def _record_event(self, event: bytes) -> None:
        """Do as ``_record`` for one event, as quickly as it goes: each token is one."""
        if len(self._live) > 1:
            self._leave_behind()
        self._events += 1
        self._last.append(event)
        if len(self._last) > _LAST:
            del self._last[0]
        self._writer.add(encode_chunk(int((self._loop.time() - self._began) * 1000), event))
        for player in self._live:
            player.event(event)

    def _leave_behind(self) -> None:
        if len(self._live) < 2 or self._writer.given_up:
            return
        slow = [player for player in self._live if player.congested]
        if len(slow) < len(self._live):
            for player in slow:
                player.place = self._writer.end
                self._let_go(player)

    def _end(self, end: End) -> None:
        self.end_entry = end
        self._writer.add(encode_end(int((self._loop.time() - self._began) * 1000), end))
        for player in tuple(self._live):
            player.place = self._writer.end
            if end.failure is None:
                player.end(end)
            self._let_go(player)  # with a failure it ends in its own task, which raises that

    def _let_go(self, player: Player, error: ApiError | None = None) -> None:
        self._live.pop(player, None)
        if player.released is None or player.released.done():
            return
        if error is not None:
            player.released.set_exception(error)
        else:
            player.released.set_result(None)

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
