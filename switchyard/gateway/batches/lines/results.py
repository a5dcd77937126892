"""What became of each line, written down as it comes: a log of parts that nobody changes.

A line that was run twice, as its gateway was killed before it wrote, or lost its batch and went on, may be in the log
twice; whoever reads it takes the first. So the output has every line once, whatever happened.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import orjson

from switchyard.backoff import Backoff
from switchyard.gateway.batches.lines.requests import Request
from switchyard.gateway.files.contract import FileStore, FileStoreError

PART_BYTES = 1024 * 1024  # as soon as there are so many; a kill loses what was not written, and it is done again
PART_SECONDS = 1.0
WAITING_BYTES = 8 * 1024 * 1024  # of results, while a slow disk keeps them from being written: then no line is begun
OUTPUT_BYTES = 4 * 1024**3  # of a batch: 80 KB for each of 50,000 lines, ten times a long embedding
_BACKOFF = Backoff(first=0.2, most=5.0)


@dataclass(frozen=True, slots=True)
class Result:
    """How a line ended; ``row`` is a line of the output, or of the errors if it ``failed``."""

    number: int
    failed: bool
    row: bytes


def row(batch_id: str, request: Request, *, response: object = None, error: object = None) -> bytes:
    """Return a line of output as OpenAI has it."""
    return orjson.dumps(
        {
            "id": f"batch_req_{batch_id.removeprefix('batch_')}_{request.number}",
            "custom_id": request.custom_id,
            "response": response,
            "error": error,
        }
    )


class ResultLog:
    """The results of one batch; each writer's parts have names of their own.

    ``size`` is how many bytes the log has, as far as this writer has read and written it.
    """

    def __init__(self, blobs: FileStore, batch_id: str, writer: str) -> None:
        self._blobs = blobs
        self._folder = folder_of(batch_id)
        # The clock only sorts the parts: which of two results of a line counts does not matter.
        self._prefix = f"{int(time.time()):012d}-{writer}"
        self._parts = 0
        self._rows: list[bytes] = []
        self._waiting = 0
        self._writing = asyncio.Lock()
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that no line should be begun."""
        return self._waiting > WAITING_BYTES

    @property
    def is_due(self) -> bool:
        """Whether so much waits that it should be written now."""
        return self._waiting > PART_BYTES

    def add(self, result: Result) -> None:
        """Add a result, to be written with the next part."""
        text = b"%d %c %b\n" % (result.number, b"e" if result.failed else b"o", result.row)
        self._rows.append(text)
        self._waiting += len(text)

    async def write(self) -> None:
        """Write what waits, however often the place of files fails."""
        async with self._writing:
            rows, self._rows = self._rows, []
            if not rows:
                return
            data, failures = b"".join(rows), 0
            while True:
                try:
                    await self._blobs.put(f"{self._folder}/{self._prefix}-{self._parts:06d}", data)
                    break
                except FileStoreError:
                    failures += 1
                    await asyncio.sleep(_BACKOFF.pause(failures))
            self._parts += 1
            self._waiting -= len(data)
            self.size += len(data)

    async def read(self, on_size: Callable[[int], None] = lambda size: None) -> AsyncIterator[Result]:
        """Yield the first result of each line that is in the log."""
        seen = set()
        for name in await self._blobs.names(self._folder):
            part = bytearray()
            async for chunk in self._blobs.chunks(name):
                part += chunk
            on_size(len(part))
            for text in bytes(part).splitlines():
                number, kind, found = text.split(b" ", 2)
                if (line := int(number)) not in seen:
                    seen.add(line)
                    yield Result(line, kind == b"e", found)

    async def remove(self) -> None:
        """Delete the log."""
        await self._blobs.remove(await self._blobs.names(self._folder))


def folder_of(batch_id: str) -> str:
    """Return the folder of a batch's log."""
    return f"results/{batch_id}"
