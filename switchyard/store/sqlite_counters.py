"""Counters of a ledger in SQLite, kept in memory as long as nobody else writes to the file.

A call mostly needs all limits of its tenant, so the counters whose names begin with the same word are one row: it is
written at a third of what a row for each costs. To read it is needless while ``data_version`` says that only this
connection has written (https://www.sqlite.org/pragma.html#pragma_data_version).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

import orjson

from switchyard.store.counters import FOREVER, Counter, new_counter, restored, stored_name
from switchyard.store.ledger import Claim

# Rows of two kinds in one table, so that what a call changes is mostly one page: "call <id>" is a reservation, which
# ends with its lease, "group <word>" are counters. A page of 4 KiB holds 1002 bytes of a row, or else a second page.
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    owner TEXT NOT NULL, name TEXT NOT NULL, ends REAL NOT NULL, state BLOB NOT NULL, PRIMARY KEY (owner, name)
) WITHOUT ROWID;
"""
_GROUPS_KEPT = 2048  # of some 2 KB


class Group:
    """Counters that are one row; ``lease_ends`` is no later than any lease of a call that has taken from them ends."""

    __slots__ = ("counters", "lease_ends", "name", "owner")

    def __init__(self, owner: str, name: str, lease_ends: float, counters: dict[str, Counter]) -> None:
        self.owner = owner
        self.name = name
        self.lease_ends = lease_ends
        self.counters = counters

    def counter(self, name: str, now: float) -> Counter:
        """Return a counter as it is now, by its stored name."""
        counter = self.counters.get(name)
        if counter is None:
            counter = self.counters[name] = new_counter(name)
        counter.move_to(now)
        return counter

    def dumps(self, now: float) -> tuple[float, bytes]:
        """Return when the last counter is over, and what is stored of those that are not."""
        state, last = {}, 0.0
        for name, counter in self.counters.items():
            if counter.ends > now:
                state[name] = counter.state
                last = max(last, counter.ends)
        return last, orjson.dumps((self.lease_ends, state))


Asked = tuple[Claim, str, Counter, Group]  # a claim, the stored name of its counter as it is now, and its group


class Groups:
    """The groups of all owners; use it within a transaction, each of which begins with ``refresh``."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Group] = {}
        self._version: int | None = None

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Forget what may have changed in the file."""
        ((version,),) = connection.execute("PRAGMA data_version")
        if version != self._version or len(self._kept) > _GROUPS_KEPT:
            self._kept.clear()
            self._version = version

    def forget(self) -> None:
        """Forget everything: what was changed in memory is not in the file."""
        self._kept.clear()

    def of(self, connection: sqlite3.Connection, owner: str, counter: str) -> Group:
        """Return the group of a counter's stored name."""
        key = owner, _group_name(counter)
        group = self._kept.get(key)
        if group is None:
            group = self._kept[key] = _read(connection, *key)
        return group

    def asked(self, connection: sqlite3.Connection, now: float, owner: str, claims: Sequence[Claim]) -> list[Asked]:
        """Return claims with their counters, and with the groups of these."""
        asked = []
        for claim in claims:
            name = stored_name(claim.counter, claim.kind, claim.seconds)
            group = self.of(connection, owner, name)
            counter = group.counter(name, now)
            if claim.kind == "period":
                counter.ends = claim.ends
            asked.append((claim, name, counter, group))
        return asked

    def write(self, connection: sqlite3.Connection, now: float, groups: Iterable[Group]) -> None:
        """Write groups that were changed."""
        for group in groups:
            ends, state = group.dumps(now)
            if ends > now:
                row = group.owner, group.name, ends, state
                connection.execute("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?)", row)
            else:
                connection.execute("DELETE FROM ledger WHERE owner = ? AND name = ?", (group.owner, group.name))


def _read(connection: sqlite3.Connection, owner: str, name: str) -> Group:
    row = connection.execute("SELECT state FROM ledger WHERE owner = ? AND name = ?", (owner, name)).fetchone()
    lease_ends, states = orjson.loads(row[0]) if row else (FOREVER, {})
    return Group(owner, name, lease_ends, {name: restored(name, state) for name, state in states.items()})


@lru_cache(8192)
def _group_name(counter: str) -> str:
    return f"group {counter.partition(':')[2].partition(' ')[0]}"
