"""An event loop whose connections are objects in memory, so that a connection's bytes are a fuzzer's to choose."""

import asyncio
import atexit
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

_ADDRESS = ("127.0.0.1", 1)
_MOST_TURNS = 10_000  # of the loop; a turn serves one request, and no input holds so many


class Wire(asyncio.Transport):
    """The far end of one connection: what was written to it, and how it stands."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": _ADDRESS, "sockname": _ADDRESS})
        self.protocol = protocol
        self.out = bytearray()
        self.paused = self.ended = self.closed = False
        self._lost = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def write(self, data: Any) -> None:
        if not (self.ended or self.closed):
            self.out += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def lose(self) -> None:
        """The connection is gone; to be called in the loop, as a socket's transport would."""
        self.closed = True
        if not self._lost:
            self._lost = True
            self.protocol.connection_lost(None)


class Loop(asyncio.SelectorEventLoop):
    """Servers and clients that are opened on it get wires; what fails in a callback fails the run."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: Any  # of asyncio's own: what is to run in the next turn
        atexit.register(self.close)
        self.failures: list[dict[str, Any]] = []
        self.wires: list[Wire] = []
        self.accept: Callable[[], asyncio.Protocol] | None = None
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    async def create_server(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        self.accept = protocol_factory
        listening = SimpleNamespace(getsockname=lambda: _ADDRESS)
        return SimpleNamespace(sockets=[listening], close=lambda: None)

    async def create_connection(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        wire = self.wire(protocol_factory)
        return wire, wire.protocol

    def wire(self, protocol_factory: Callable[[], asyncio.Protocol]) -> Wire:
        """A new connection."""
        wire = Wire(protocol_factory())
        wire.protocol.connection_made(wire)
        self.wires.append(wire)
        return wire

    def turn(self) -> None:
        """Runs what is ready, and what that makes ready, until nothing is but timers."""
        for _ in range(_MOST_TURNS):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:
                return
        raise AssertionError("the loop does not come to rest")

    def feed(self, wire: Wire, chunks: Iterable[bytes]) -> None:
        """Gives a connection its bytes, none while it does not read."""
        for chunk in chunks:
            if wire.paused:
                self.turn()
            if wire.closed or wire.paused:
                return
            self.call_soon(wire.protocol.data_received, chunk)
            self.turn()

    def check(self) -> None:
        """Raises what failed where nobody could catch it."""
        failures, self.failures = self.failures, []
        self.wires.clear()
        for context in failures:
            raise context.get("exception") or AssertionError(context["message"])
