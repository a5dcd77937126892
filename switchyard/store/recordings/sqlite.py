"""Recordings in one SQLite file, for one machine and any number of processes."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from switchyard.store.recordings.contract import Bounds, Held, Page, SupersededError, check_segment
from switchyard.store.recordings.sqlite_rows import Claimed, Rows
from switchyard.store.recordings.sqlite_schema import SCHEMA
from switchyard.store.sqlite_thread import SqliteThread, transaction

_SWEEP_SECONDS = 5.0


class SqliteRecordings:
    """Recordings in the file at ``path``; ``clock`` returns seconds since 1970."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._thread = SqliteThread(path, SCHEMA, self._sweep, sweep_seconds=_SWEEP_SECONDS)
        self._swept = 0  # the last one that was looked at

    async def claim(
        self,
        scope: str,
        name: str,
        recording: str,
        fingerprint: bytes,
        *,
        lease: float,
        ttl: float,
        aliases: Sequence[str] = (),
        report_lost: bool = False,
    ) -> Page | None:
        claimed = Claimed(
            scope=scope,
            names=(name, *aliases),
            id=recording,
            fingerprint=fingerprint,
            lease=lease,
            ttl=ttl,
            report_lost=report_lost,
        )
        result = await self._thread.write_now(lambda connection: self._rows(connection).claim(claimed))
        if isinstance(result, Exception):
            raise result
        return result

    async def find(self, scope: str, name: str, *, after: int = 0) -> Page | None:
        return await self._thread.read_now(lambda connection: self._rows(connection).page_of_name(scope, name, after))

    async def follow(self, scope: str, recording: str, *, after: int) -> Page | None:
        page, unmarked = await self._thread.read_now(
            lambda connection: self._rows(connection).follow(scope, recording, after)
        )
        if unmarked:
            await self._thread.write_now(lambda connection: self._rows(connection).mark_followed(scope, recording))
        return page

    async def append(self, scope: str, recording: str, number: int, segment: bytes, *, lease: float) -> bool:
        check_segment(segment)
        result = await self._thread.write_now(
            lambda connection: self._rows(connection).append(scope, recording, number, segment, lease)
        )
        if isinstance(result, Exception):
            raise result
        return result

    async def finish(
        self, scope: str, recording: str, number: int, segment: bytes, *, complete: bool, ttl: float, bounds: Bounds
    ) -> None:
        check_segment(segment)

        def run(connection: sqlite3.Connection) -> SupersededError | ValueError | None:
            rows = self._rows(connection)
            return rows.finish(scope, recording, number, segment, ttl, bounds if complete else None)

        if error := await self._thread.write_now(run):
            raise error

    async def forget(self, scope: str, name: str) -> bool:
        return await self._thread.write_now(lambda connection: self._rows(connection).forget(scope, name))

    async def clear(self, scope: str, kind: str) -> int:
        cleared, done = 0, False
        while not done:
            count, done = await self._thread.write(lambda connection: self._rows(connection).clear(scope, kind))
            cleared += count
        return cleared

    async def held(self, scope: str) -> Mapping[str, Held]:
        return await self._thread.read(lambda connection: self._rows(connection).held(scope))

    async def aclose(self) -> None:
        await self._thread.aclose()

    def _rows(self, connection: sqlite3.Connection) -> Rows:
        return Rows(connection, self._clock())

    def _sweep(self, connection: sqlite3.Connection) -> None:
        self._swept = transaction(connection, lambda one: self._rows(one).sweep(self._swept))
