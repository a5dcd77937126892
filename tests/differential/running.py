"""Sends cases through all five, and notes what came out behind each."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.differential.cases import Case
from tests.differential.ours import BARE, GATEWAY, forwarding, gateway
from tests.differential.proxies import HOST, NAMES, proxy
from tests.differential.upstream import Recorder, Seen, recording

_AT_ONCE = 16  # cases; each has a connection to all five
_QUIET_SECONDS = 0.4  # without a byte, after which a proxy is taken to wait for what will not come
_PATIENT_SECONDS = 2.0  # the same for a case that runs alone, before it is called different
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the upstream saw of a case, and the statuses that the client was given."""

    seen: tuple[Seen, ...]
    statuses: tuple[int, ...]
    said: bytes = b""  # the end of what the client was given

    def __str__(self) -> str:
        return f"{list(map(str, self.seen))} {self.statuses}"


_OURS = {BARE: forwarding, GATEWAY: gateway}

Outcomes = Mapping[str, Outcome]


class Arena:
    """The five, and an upstream behind each."""

    def __init__(self, ports: Mapping[str, int], recorders: Mapping[str, Recorder]) -> None:
        self._ports = ports
        self._recorders = recorders

    async def run(self, cases: Iterable[Case]) -> dict[Case, Outcomes]:
        """The outcomes of cases, several at a time."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(case: Case) -> tuple[Case, Outcomes]:
            async with gate:
                return case, await self._through_all(case, _QUIET_SECONDS)

        return dict(await asyncio.gather(*map(one, cases)))

    async def again(self, case: Case) -> Outcomes:
        """The outcomes of a case that runs alone and has time: no busy machine makes it look different."""
        return await self._through_all(case, _PATIENT_SECONDS)

    async def _through_all(self, case: Case, quiet: float) -> Outcomes:
        names = tuple(self._ports)
        told = await asyncio.gather(*(_send(self._ports[name], case.data, quiet) for name in names))
        return {
            name: Outcome(self._recorders[name].take(case.name), tuple(map(int, _STATUS.findall(out))), out[-300:])
            for name, out in zip(names, told, strict=True)
        }

    def unnamed(self) -> dict[str, list[Seen]]:
        """Requests in which no case could be recognised."""
        return {name: recorder.unnamed for name, recorder in self._recorders.items() if recorder.unnamed}


@asynccontextmanager
async def arena(folder: Path) -> AsyncIterator[Arena]:
    """All five, running; their files are in ``folder``."""
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        recorders: dict[str, Recorder] = {}
        for name in (BARE, GATEWAY, *NAMES):
            recorders[name], upstream = await stack.enter_async_context(recording())
            made = _OURS[name](upstream) if name in _OURS else proxy(name, folder / name, upstream)
            ports[name] = await stack.enter_async_context(made)
        yield Arena(ports, recorders)


async def _send(port: int, data: bytes, quiet: float) -> bytes:
    """Sends all at once, and reads until the proxy closes or is quiet, before the sending side is shut and after."""
    reader, writer = await asyncio.open_connection(HOST, port)
    out = b""
    with suppress(ConnectionError):
        writer.write(data)
        for shut in (False, True):
            if shut:
                writer.write_eof()
            while chunk := await _read(reader, quiet):
                out += chunk
            if reader.at_eof():
                break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return out


async def _read(reader: asyncio.StreamReader, quiet: float) -> bytes:
    try:
        async with asyncio.timeout(quiet):
            return await reader.read(65536)
    except TimeoutError:
        return b""
