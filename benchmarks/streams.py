"""A client that opens many streamed chats at once and times their tokens."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Stream:
    """When the tokens of one answer came, in seconds from its request."""

    times: tuple[float, ...]

    @property
    def first(self) -> float:
        return self.times[0]

    @property
    def gaps(self) -> list[float]:
        return [late - early for early, late in zip(self.times, self.times[1:], strict=False)]


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round of simultaneous streams measured."""

    streams: tuple[Stream, ...]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return sum(len(stream.times) for stream in self.streams) / self.seconds

    def first_ms(self) -> float:
        """Median time to the first token, in milliseconds."""
        return _median([stream.first for stream in self.streams]) * 1000

    def gap_ms(self) -> float:
        """Mean time between tokens, in milliseconds."""
        gaps = [gap for stream in self.streams for gap in stream.gaps]
        return sum(gaps) / len(gaps) * 1000


async def ask(url: str, body: Mapping[str, Any]) -> Stream:
    """One streamed answer over a connection of its own.

    Raises:
        RuntimeError: the answer was no stream of events.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    content = json.dumps(body).encode()
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    began = time.perf_counter()
    writer.write(head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(content) + content)
    times: list[float] = []
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"{url} answered {status!r} {await reader.read(2000)!r}")
    async for line in reader:
        if b'"content":' in line and b'"role"' not in line:
            times.append(time.perf_counter() - began)  # noqa: PERF401 - the time of each line as it comes
    writer.close()
    await writer.wait_closed()
    return Stream(times=tuple(times))


async def round_of(url: str, body: Mapping[str, Any], streams: int, repeat: int = 1) -> Round:
    """``streams`` answers at once, each client asking ``repeat`` times in a row."""
    began = time.perf_counter()

    async def client() -> list[Stream]:
        return [await ask(url, body) for _ in range(repeat)]

    answers = await asyncio.gather(*(client() for _ in range(streams)))
    seconds = time.perf_counter() - began
    return Round(streams=tuple(stream for rows in answers for stream in rows), seconds=seconds)


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
