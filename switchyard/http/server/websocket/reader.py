"""Bytes of a WebSocket to messages, within limits: wsproto reads the frames, and this joins them."""

from collections import deque
from collections.abc import Callable

from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from switchyard.http.h2.budget import FrameBudget
from switchyard.http.h2.frames import ProtocolError
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.websocket import codes

_STEP_BYTES = 8 * 1024  # parsed at once: a thousand frames at most, which is some 10 ms
_SMALL_FRAGMENT = 1024  # bytes; a shorter part of a message counts as a frame without content
_QUEUED = 64  # messages that wait, before no more are parsed


class WebSocketError(Exception):
    """The client broke the protocol or a limit: the socket closes with ``code`` (RFC 6455 §7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class MessageReader:
    """Puts whole text messages into ``messages``, and gives PING and CLOSE to ``on_control``.

    ``started_at`` is when the message began of which a part is here, 0 without one. While ``full``, nothing is parsed.
    """

    __slots__ = (
        *("_budget", "_bytes", "_limits", "_on_control", "_part", "_protocol", "_time", "_unparsed"),
        *("messages", "started_at"),
    )

    def __init__(
        self,
        protocol: Connection,
        limits: ServerLimits,
        budget: FrameBudget,
        time: Callable[[], float],
        on_control: Callable[[Event], None],
    ) -> None:
        self.messages: deque[bytes] = deque()
        self.started_at = 0.0
        self._protocol = protocol
        self._limits = limits
        self._budget = budget
        self._time = time
        self._on_control = on_control
        self._bytes = 0  # of ``messages``
        self._part = bytearray()
        self._unparsed = b""

    @property
    def held(self) -> int:
        """Bytes that wait: not parsed, of a message in parts, and of whole ones."""
        return len(self._unparsed) + len(self._part) + self._bytes

    @property
    def full(self) -> bool:
        """Whether so much waits for the handler that the socket should not be read."""
        return len(self.messages) >= _QUEUED or self._bytes > self._limits.buffer_bytes

    def feed(self, data: bytes) -> None:
        """Parse ``data`` and what was left before, until it ends or enough messages wait.

        Raises:
            WebSocketError: the client broke the protocol or a limit.
        """
        data, at = self._unparsed + data if self._unparsed else data, 0
        while at < len(data) and not self.full and self._protocol.state is not ConnectionState.CLOSED:
            self._protocol.receive_data(data[at : at + _STEP_BYTES])
            at += _STEP_BYTES
            for event in self._protocol.events():
                self._handle(event)
        self._unparsed = data[at:]

    def take(self) -> bytes:
        """Return the first of ``messages``."""
        message = self.messages.popleft()
        self._bytes -= len(message)
        return message

    def clear(self) -> None:
        """Free what waits: nobody will read it."""
        self.messages.clear()
        self._part, self._unparsed, self._bytes, self.started_at = bytearray(), b"", 0, 0.0

    def _handle(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._add(event.data.encode(), event)
        elif isinstance(event, BytesMessage):
            raise WebSocketError(codes.UNSUPPORTED_DATA, "send text: messages are JSON")
        elif isinstance(event, Ping | Pong):
            self._spend()
            self._on_control(event)
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.OPEN:  # wsproto's way to say that it understands no more
                raise WebSocketError(event.code, event.reason or "")
            self._on_control(event)

    def _add(self, text: bytes, event: TextMessage) -> None:
        size = len(self._part) + len(text)
        if size > self._limits.message_bytes:
            message = f"a message has at most {self._limits.message_bytes} bytes"
            raise WebSocketError(codes.MESSAGE_TOO_BIG, message)
        if not event.message_finished:
            self.started_at = self.started_at or self._time()
            self._part += text
            if event.frame_finished and len(text) < _SMALL_FRAGMENT:
                self._spend()
            return
        self.messages.append(bytes(self._part) + text if self._part else text)
        self._bytes += size
        if self.started_at:
            self._part, self.started_at = bytearray(), 0.0

    def _spend(self) -> None:
        try:
            self._budget.spend(1)
        except ProtocolError as err:
            raise WebSocketError(codes.POLICY_VIOLATION, str(err)) from None
