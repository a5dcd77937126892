"""Bounded load over raw sockets: as fast as it goes, or at a steady rate."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request in the bytes that go over the wire."""

    host: str
    port: int
    wire: bytes

    @staticmethod
    def post(url: str, body: bytes) -> "Request":
        parts = urlsplit(url)
        head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        wire = head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body
        return Request(host=parts.hostname or "", port=parts.port or 80, wire=wire)


class Connection:
    """One kept-alive connection that asks one thing after the other."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def open(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(self._request.host, self._request.port, limit=2**22)
        return self

    async def ask(self) -> tuple[float, int]:
        """Seconds to the first event or the whole body, and the number of events.

        Raises:
            RuntimeError: the answer was not 200.
        """
        began = time.perf_counter()
        self._writer.write(self._request.wire)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise RuntimeError(head.decode("latin-1"))
        lowered = head.lower()
        at = lowered.find(b"content-length: ")
        if at >= 0:
            await self._reader.readexactly(int(head[at + 16 : head.index(b"\r\n", at)]))
            return time.perf_counter() - began, 0
        return await self._events(began)

    async def _events(self, began: float) -> tuple[float, int]:
        first, events = 0.0, 0
        while size := int(await self._reader.readline(), 16):
            chunk = await self._reader.readexactly(size + 2)
            first = first or time.perf_counter() - began
            events += chunk.count(b"data: ")
        await self._reader.readexactly(2)
        return first, events - 1

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a load got: answers, events of streams, and seconds to each first byte."""

    answers: int
    events: int
    seconds: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2] * 1000


async def saturate(request: Request, connections: int, duration: float) -> Load:
    """Every connection asks again as soon as it was answered, for ``duration`` seconds."""
    end = time.perf_counter() + duration
    opened = await asyncio.gather(*(Connection(request).open() for _ in range(connections)))

    async def run(connection: Connection) -> list[tuple[float, int]]:
        rows = []
        while time.perf_counter() < end:
            rows.append(await connection.ask())
        await connection.close()
        return rows

    return _sum(await asyncio.gather(*(run(connection) for connection in opened)))


async def steady(requests: list[Request], rate: float, duration: float) -> list[Load]:
    """Each target gets ``rate`` requests a second, in turn, over one connection each."""
    opened = [await Connection(request).open() for request in requests]
    rows: list[list[tuple[float, int]]] = [[] for _ in opened]
    gap = 1 / (rate * len(opened))
    due = time.perf_counter()
    for number in range(int(rate * duration) * len(opened)):
        due += gap
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        index = number % len(opened)
        rows[index].append(await opened[index].ask())
    for connection in opened:
        await connection.close()
    return [_sum([part]) for part in rows]


def _sum(parts: list[list[tuple[float, int]]]) -> Load:
    rows = [row for part in parts for row in part]
    return Load(answers=len(rows), events=sum(row[1] for row in rows), seconds=tuple(row[0] for row in rows))
