"""A ledger in one SQLite file, for one machine and any number of processes."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from switchyard.store import sqlite_usage as usage
from switchyard.store.ledger import Claim, Denial, Entry, Grant, Level, Total, Width, check_claims, check_lease
from switchyard.store.sqlite_reservations import SCHEMA, Groups, Reservations
from switchyard.store.sqlite_thread import SqliteThread, transaction

_SWEEP_SECONDS = 5.0  # also how much usage a reader of totals may have to add up first


class SqliteLedger:
    """A ledger in the file at ``path``; ``clock`` returns seconds since 1970 and is read within the transaction."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._groups = Groups()
        self._reservations = Reservations(self._groups)
        self._thread = SqliteThread(
            path,
            SCHEMA + usage.SCHEMA,
            self._sweep,
            sweep_seconds=_SWEEP_SECONDS,
            on_rollback=self._groups.forget,
        )
        self._swept_row = ("", "")
        self._swept_owner = ""

    async def reserve(self, owner: str, call_id: str, claims: Sequence[Claim], *, lease: float) -> Grant | Denial:
        check_claims(claims)
        check_lease(lease)

        def run(connection: sqlite3.Connection) -> Grant | Denial:
            self._groups.refresh(connection)
            now = self._clock()
            return self._reservations.reserve(connection, now, owner, call_id, claims, now + lease)

        return await self._thread.write_now(run)

    async def renew(self, owner: str, call_ids: Sequence[str], *, lease: float) -> None:
        check_lease(lease)

        def run(connection: sqlite3.Connection) -> None:
            self._groups.refresh(connection)
            now = self._clock()
            self._reservations.renew(connection, now, owner, call_ids, now + lease)

        await self._thread.write(run)

    async def settle(
        self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None
    ) -> tuple[Level, ...] | None:
        check_claims(claims)

        def run(connection: sqlite3.Connection) -> tuple[Level, ...] | None:
            self._groups.refresh(connection)
            now = self._clock()
            if not usage.add(connection, now, owner, call_id, entry):
                return None
            return self._reservations.settle(connection, now, owner, call_id, claims)

        return await self._thread.write_now(run)

    async def totals(self, owner: str, *, since: int, until: int, width: Width) -> list[Total]:
        def run(connection: sqlite3.Connection) -> list[Total]:
            usage.roll_up(connection)
            return usage.totals(connection, owner, since, until, width)

        return await self._thread.write(run)

    async def rows(
        self, owner: str, *, since: int, until: int, after: str = "", count: int = 1000
    ) -> list[tuple[str, bytes]]:
        return await self._thread.read(lambda connection: usage.rows(connection, owner, since, until, after, count))

    async def owners(self) -> list[str]:
        def run(connection: sqlite3.Connection) -> list[str]:
            usage.roll_up(connection)
            return list(usage.owners(connection))

        return await self._thread.write(run)

    async def prune(self, before: int) -> None:
        def run(connection: sqlite3.Connection) -> bool:
            usage.roll_up(connection)
            return usage.prune(connection, before)

        while not await self._thread.write(run):
            pass

    async def aclose(self) -> None:
        await self._thread.aclose()

    def _sweep(self, connection: sqlite3.Connection) -> None:
        transaction(connection, self._sweep_some, self._groups.forget)

    def _sweep_some(self, connection: sqlite3.Connection) -> None:
        self._groups.refresh(connection)
        now = self._clock()
        usage.roll_up(connection)
        self._swept_row = self._reservations.sweep(connection, now, self._swept_row)
        self._swept_owner = usage.sweep(connection, now, self._swept_owner)
