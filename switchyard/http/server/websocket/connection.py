"""One WebSocket of a client, within the limits of its port."""

import asyncio
from typing import Any, Protocol

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from switchyard.http.addresses import Address, address_of
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2.budget import FrameBudget
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.drains import Drains
from switchyard.http.server.websocket.reader import MessageReader, WebSocketError

_LEAVING = "the server is shutting down"


class Host(Protocol):
    """What a WebSocket needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    retiring: bool

    def closed(self, connection: Any) -> None: ...


class Opening(Protocol):
    """The exchange that a WebSocket began as: its handler handles the messages."""

    finished: bool

    def disconnect(self) -> None:
        """Cancel the handler, unless the exchange is finished."""


class WebSocket(asyncio.Protocol):
    """Receives and sends text messages; its handler's task is cancelled when the client or the server closes it.

    ``work`` is how much the handler does for the client: a socket without is idle. ``leaving`` says that there shall be
    no new work, as the server drains. ``close_code`` is the one that was sent or received first, 0 while it is open.
    """

    __slots__ = (
        *("_active_at", "_drains", "_heard_at", "_held", "_host", "_opening", "_owner", "_ping_sent_at", "_pong"),
        *("_protocol", "_reader", "_reading_paused", "_stalled_since", "_transport", "_unsent"),
        *("_disconnected", "_misread", "_waiter", "close_code", "leaving", "work"),
    )

    def __init__(self, host: Host, opening: Opening, transport: asyncio.Transport) -> None:
        limits = host.limits
        budget = FrameBudget(limits.control_frames, limits.control_frames_per_second)
        self.work = self.close_code = 0
        self.leaving = False
        self._host = host
        self._opening = opening
        self._transport = transport
        self._protocol = Connection(ConnectionType.SERVER)  # without extensions: nothing is decompressed
        self._reader = MessageReader(self._protocol, limits, budget, host.loop.time, self._on_control)
        self._owner: str | None = None
        self._held = 0  # bytes that are counted as memory
        self._waiter: asyncio.Future[None] | None = None
        self._reading_paused = True
        self._misread = self._disconnected = False
        self._drains = Drains(host.loop)
        self._pong: Event | None = None  # for a client that does not read now; the last PING's is enough (§5.5.3)
        self._unsent = 0
        self._heard_at = self._active_at = self._ping_sent_at = host.loop.time()
        self._stalled_since = 0.0

    # -- for the handler

    @property
    def client(self) -> Address | None:
        """The client's address; None when it has disconnected already."""
        return address_of(self._transport, "peername")

    @property
    def memory(self) -> BodyMemory:
        """What bodies of all requests are counted with, and messages until ``receive`` returns them."""
        return self._host.memory

    def held_for(self, owner: str) -> None:
        """Count what is held of messages for ``owner``."""
        self.memory.give_back(self._owner, self._held)
        self.memory.take(owner, self._held)
        self._owner = owner

    async def receive(self) -> bytes:
        """Return the next message, in UTF-8; the socket is read no faster than messages are taken."""
        while not self._reader.messages:
            self._waiter = self._host.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._reader.take()
        self._count()
        if self._reading_paused and not self._reader.full:
            self._host.loop.call_soon(self.begin, b"")
        return message

    def send(self, *messages: bytes) -> None:
        """Send text messages, each in UTF-8, in one write; ``writable`` keeps a slow client from filling the memory."""
        if not self.close_code:
            frames = [self._protocol.send(TextMessage(data=message.decode())) for message in messages]
            self._transport.write(b"".join(frames))

    @property
    def congested(self) -> bool:
        """Whether what was sent waits for the client, so that the handler should wait for ``writable``."""
        return self._drains.congested

    async def writable(self) -> None:
        """Return when the client has taken enough of what was sent; who waits first, returns first."""
        await self._drains.wait()

    def begin_work(self) -> None:
        """Count a piece of the handler's work."""
        self.work += 1

    def end_work(self) -> None:
        """Count it as done; a server that drains closes the socket after the last one."""
        self.work -= 1
        self._active_at = self._host.loop.time()
        if not self.work and self._host.retiring:
            self._fail(codes.GOING_AWAY, _LEAVING)

    def close(self, code: int, reason: str = "") -> None:
        """Close the socket; its handler, which calls this, returns then."""
        self._opening.finished = True
        self._close(code, reason)

    # -- for the server

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in progress."""
        return not (self.work or self._reader.held or self._drains.paused or self.close_code)

    def check(self, now: float) -> None:
        """End what has taken too long; ask a client that is silent whether it is still there."""
        limits = self._host.limits
        if self.close_code:
            return  # that ends by itself
        if self._drains.paused:
            self._check_stall(now)
        elif self._reading_paused:
            self._heard_at = now  # it is not the client who is slow
        elif self._reader.started_at and _exceeds(now - self._reader.started_at, limits.read_seconds):
            self._fail(codes.POLICY_VIOLATION, f"the message did not arrive within {limits.read_seconds:g} s")
        elif not self.work and _exceeds(now - self._active_at, limits.quiet_seconds):
            self._fail(codes.IDLE, f"there was no message for {limits.quiet_seconds:g} s")
        elif limits.ping_seconds is not None:
            self._check_presence(now, limits.ping_seconds)

    def retire(self) -> None:
        """Do nothing now: the socket closes when its last work has ended."""

    def drain(self) -> None:
        """Close the socket, or take no new work and close it after the last."""
        self.leaving = True
        if not self.work:
            self._fail(codes.GOING_AWAY, _LEAVING)

    def abort(self) -> None:
        self._transport.abort()

    def _check_stall(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._stalled_since = unsent, now
        elif _exceeds(now - self._stalled_since, self._host.limits.stall_seconds):
            self._transport.abort()

    def _check_presence(self, now: float, seconds: float) -> None:
        if now - self._heard_at > 2 * seconds:
            self._transport.abort()
        elif now - self._ping_sent_at > seconds:
            self._ping_sent_at = now
            self._transport.write(self._protocol.send(Ping()))

    # -- reading

    def begin(self, data: bytes) -> None:
        """Parse what has been read, and read on unless enough messages wait."""
        self._reading_paused = False
        self._parse(data)
        if not (self._reading_paused or self._transport.is_closing()):
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._host.loop.time()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        reader = self._reader
        if self._misread:
            return
        try:
            reader.feed(data)
        except WebSocketError as err:
            self._misread = True  # RFC 6455 §7.1.7: nothing of what follows is processed
            self._fail(err.code, str(err))
            return
        if self.close_code:
            reader.clear()
        if reader.messages:
            self._active_at = self._host.loop.time()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        if reader.full and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._count()

    def _count(self) -> None:
        """Count the memory that messages take now."""
        memory, held = self.memory, self._reader.held
        if held > self._held:
            memory.take(self._owner, held - self._held)
            self._held = held
            if memory.excess(self._owner, held) is not None:
                self._fail(codes.TRY_AGAIN_LATER, "the server holds as many messages as it may")
        elif held < self._held:
            memory.most = max(memory.most, memory.used)
            memory.give_back(self._owner, self._held - held)
            self._held = held

    def _on_control(self, event: Event) -> None:
        if isinstance(event, Ping):
            if self._drains.paused:
                self._pong = event.response()
            elif not self.close_code:
                self._transport.write(self._protocol.send(event.response()))
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                self.close_code = int(event.code)
                self._transport.write(self._protocol.send(event.response()))
                self._disconnect()
            self._end()

    # -- closing

    def _fail(self, code: int, reason: str) -> None:
        """Close the socket for the server's reasons, or for what the client did."""
        self._disconnect()
        self._close(code, reason)

    def _disconnect(self) -> None:
        if not self._disconnected:  # once: a handler that is cancelled writes what it used, which takes a while
            self._disconnected = True
            self._opening.disconnect()

    def _close(self, code: int, reason: str) -> None:
        if self.close_code:
            return
        self.close_code = code
        if not self._transport.is_closing():
            self._transport.write(self._protocol.send(CloseConnection(code=code, reason=reason)))
            self._transport.resume_reading()  # data left unread would make the system discard this
            if self._misread and self._transport.can_write_eof():
                self._transport.write_eof()
            self._host.loop.call_later(self._host.limits.linger_seconds, self._transport.abort)
        self._drains.close()
        self._reader.clear()
        self._count()

    def _end(self) -> None:
        """Both sides have said that they close: let what was written go out."""
        self._transport.close()
        self._host.loop.call_later(self._host.limits.linger_seconds, self._transport.abort)

    # -- asyncio.Protocol

    def connection_lost(self, exc: Exception | None) -> None:
        self.close_code = self.close_code or codes.LOST
        self._host.closed(self)
        self._drains.close()
        self._reader.clear()
        self._count()
        self._disconnect()

    def pause_writing(self) -> None:
        self._drains.pause()
        self._unsent, self._stalled_since = 0, self._host.loop.time()

    def resume_writing(self) -> None:
        self._drains.resume()
        if self._pong is not None and not self.close_code:
            self._transport.write(self._protocol.send(self._pong))
        self._pong = None


def _exceeds(seconds: float, limit: float | None) -> bool:
    return limit is not None and seconds > limit
