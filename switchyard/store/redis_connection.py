"""One connection to Redis for what each call waits for: redis-py takes five times as long for it.

Of its protocol (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/) this has what scripts need:
strings go out; a string, nothing or an error comes back.
"""

import asyncio
from collections import deque
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple, cast

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from switchyard.store.contract import StoreError

_STRING, _ERROR = b"$-"


class ReplyError(Exception):
    """Redis responds with an error; its message is the error's."""


class Script:
    """A script of ``switchyard/store/scripts``, after the one of the name ``shared`` if there is one."""

    def __init__(self, name: str, *, shared: str = "") -> None:
        self.text = (_source(shared) if shared else "") + _source(name)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@cache
def _source(name: str) -> str:
    return files("switchyard.store").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


class RedisConnection:
    """Commands on one connection, each sent at once; ``url`` is as in ``RedisStore``.

    A command fails when ``seconds`` are over, and is sent a second time where the connection was lost.
    """

    def __init__(self, url: str, seconds: float) -> None:
        # It is never opened: it knows what a URL says.
        self._target: AbstractConnection = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        self._seconds = seconds
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line] | None = None
        self._closed = False

    async def run(self, *command: bytes | str | float) -> bytes | None:
        """Return what Redis responds.

        Raises:
            ReplyError: that is an error.
            StoreError: it does not respond; the command may have been run or not.
        """
        if self._closed:
            raise StoreError("the store is closed")
        packed = _packed(command)
        try:
            try:
                return await (await self._connected()).send(packed)
            except ConnectionError:
                return await (await self._connected()).send(packed)
        except OSError as err:  # also of a timeout
            raise StoreError(f"Redis does not respond: {err}") from err

    async def run_script(self, script: Script, key: str, *args: bytes | str | float) -> bytes | None:
        """Return what a script returns for one key; Redis is told its text if it does not know it by its SHA-1.

        Raises:
            StoreError: Redis does not respond, or with an error; the script may have been run or not.
        """
        try:
            try:
                return await self.run("EVALSHA", script.sha, 1, key, *args)
            except ReplyError as err:  # the first time, or after Redis was restarted
                if not str(err).startswith("NOSCRIPT"):
                    raise
                return await self.run("EVAL", script.text, 1, key, *args)
        except ReplyError as err:
            raise StoreError(f"Redis does not respond: {err}") from err

    async def aclose(self) -> None:
        """Close the connection; may be called again."""
        self._closed = True
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._line is not None:
            self._line.close()

    async def _connected(self) -> "_Line":
        if self._line is not None and not self._line.lost:
            return self._line
        if self._opening is None:  # for all that wait
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Task[_Line]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._line = opening.result()

    async def _open(self) -> "_Line":
        loop, target, line = asyncio.get_running_loop(), self._target, _Line(self._seconds)
        try:
            async with asyncio.timeout(self._seconds):
                if isinstance(target, UnixDomainSocketConnection):
                    await loop.create_unix_connection(lambda: line, target.path)
                else:
                    assert isinstance(target, Connection)
                    tls = target.ssl_context.get() if isinstance(target, SSLConnection) else None
                    await loop.create_connection(lambda: line, target.host, target.port, ssl=tls)
                if target.password:
                    await line.send(_packed(("AUTH", *([target.username] if target.username else []), target.password)))
                if target.db:
                    await line.send(_packed(("SELECT", target.db)))
        except TimeoutError as err:
            line.close()
            raise TimeoutError(f"no connection within {self._seconds:g} s") from err
        except ReplyError as err:
            line.close()
            raise OSError(str(err)) from err
        return line


class _Sent(NamedTuple):
    response: asyncio.Future[bytes | None]
    at: float


class _Line(asyncio.Protocol):
    """The connection itself: Redis responds to commands in their order."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sent: deque[_Sent] = deque()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    def send(self, packed: bytes) -> asyncio.Future[bytes | None]:
        """Send a command and return its response to come."""
        assert self._transport is not None
        if self.lost:
            raise ConnectionError("the connection was lost")
        response: asyncio.Future[bytes | None] = self._loop.create_future()
        self._sent.append(_Sent(response, self._loop.time()))
        self._transport.write(packed)
        if self._timer is None:  # one for all commands, as almost none is late
            self._timer = self._loop.call_later(self._seconds, self._look)
        return response

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        start = 0
        while (end := received.find(b"\r\n", start)) >= 0:
            kind, text = received[start], received[start + 1 : end]
            after = end + 2
            if kind != _STRING:
                self._respond(ReplyError(text.decode(errors="replace")) if kind == _ERROR else text)
            elif (length := int(text)) < 0:
                self._respond(None)
            elif len(received) < after + length + 2:
                break
            else:
                self._respond(received[after : after + length])
                after += length + 2
            start = after
        self._received = received[start:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"the connection was lost{f': {exc}' if exc else ''}"))

    def close(self) -> None:
        """Close the connection, whatever is still to come."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(ConnectionError("the connection was closed"))

    def _look(self) -> None:
        self._timer = None
        if not self._sent:
            return
        left = self._sent[0].at + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        self._fail(TimeoutError(f"no response within {self._seconds:g} s"))
        self.close()

    def _respond(self, response: bytes | ReplyError | None) -> None:
        waiting = self._sent.popleft().response
        if waiting.done():  # the caller was cancelled
            return
        if isinstance(response, ReplyError):
            waiting.set_exception(response)
        else:
            waiting.set_result(response)

    def _fail(self, error: OSError) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sent in self._sent:
            if not sent.response.done():
                sent.response.set_exception(error)
        self._sent.clear()


def _packed(command: tuple[bytes | str | float, ...]) -> bytes:
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])
