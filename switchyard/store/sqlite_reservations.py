"""Counters and reservations of a ledger in SQLite: what happens within one transaction.

A call mostly needs all limits of its tenant, so the counters whose names begin with the same word are one row: it is
written at a third of what a row for each costs. To read it is needless while ``data_version`` says that only this
connection has written (https://www.sqlite.org/pragma.html#pragma_data_version).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

import orjson

from switchyard.store.counters import FOREVER, Counter, level, new_counter, restored, stored_name
from switchyard.store.ledger import Claim, Denial, Grant, Level

# Rows of two kinds in one table, so that what a call changes is mostly one page: "call <id>" is a reservation, which
# ends with its lease, "group <word>" are counters. A page of 4 KiB holds 1002 bytes of a row, or else a second page.
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    owner TEXT NOT NULL, name TEXT NOT NULL, ends REAL NOT NULL, state BLOB NOT NULL, PRIMARY KEY (owner, name)
) WITHOUT ROWID;
"""
_GROUPS_KEPT = 1024  # of some 5 KB
_ENDED_AT_ONCE = 64  # reservations that one call gives back for others, so that it stays short
_SWEPT_AT_ONCE = 5000  # rows that one sweep looks at: 2 ms
_OF_OWNER = "FROM ledger WHERE owner = ? AND name >= 'call ' AND name < 'call!'"

Taken = Sequence[tuple[str, int, int]]  # the stored name of a counter, an amount, the part in which it was taken


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


class Reservations:
    """Takes and gives back what calls have of counters."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def reserve(
        self, connection: sqlite3.Connection, now: float, owner: str, call_id: str, claims: Sequence[Claim], ends: float
    ) -> Grant | Denial:
        """Take what the claims say, until the lease ``ends`` (seconds since 1970)."""
        asked = self._groups.asked(connection, now, owner, claims)
        groups = {group for _, _, _, group in asked}
        if any(group.lease_ends <= now for group in groups):
            self._end_leases(connection, now, owner, groups)
        denied = [
            place
            for place, (claim, _, counter, _) in enumerate(asked)
            if claim.enforced and counter.used + claim.amount > claim.limit
        ]
        if denied:
            levels = _levels(asked, now)
            if self._is_open(connection, now, owner, call_id):
                return Grant(levels)
            return Denial(levels, max(denied, key=lambda place: levels[place].free_in))
        taken = [(name, claim.amount, counter.part) for claim, name, counter, _ in asked]
        if self._open(connection, now, owner, call_id, ends, taken):
            for claim, _, counter, _ in asked:
                counter.take(claim.amount, counter.part)
            for group in groups:
                group.lease_ends = min(group.lease_ends, ends)
            self._groups.write(connection, now, groups)
        return Grant(_levels(asked, now))

    def renew(
        self, connection: sqlite3.Connection, now: float, owner: str, call_ids: Sequence[str], ends: float
    ) -> None:
        """Let the leases of calls end at ``ends``, unless they have ended."""
        shorter = set()
        for call_id in call_ids:
            key = owner, f"call {call_id}"
            found = connection.execute("SELECT ends, state FROM ledger WHERE owner = ? AND name = ?", key).fetchone()
            if found is None or found[0] <= now:
                continue
            connection.execute("UPDATE ledger SET ends = ? WHERE owner = ? AND name = ?", (ends, *key))
            if ends < found[0]:
                shorter |= {self._groups.of(connection, owner, name) for name, _, _ in orjson.loads(found[1])}
        for group in shorter:
            group.lease_ends = min(group.lease_ends, ends)
        self._groups.write(connection, now, shorter)

    def settle(
        self, connection: sqlite3.Connection, now: float, owner: str, call_id: str, claims: Sequence[Claim]
    ) -> tuple[Level, ...]:
        taken = self._close(connection, now, owner, call_id)
        asked = self._groups.asked(connection, now, owner, claims)
        groups = {group for _, _, _, group in asked}
        groups |= self._give_back(connection, now, owner, taken)
        parts = {name: part for name, _, part in taken}
        for claim, name, counter, _ in asked:
            if claim.kind != "held":
                counter.take(claim.amount, parts.get(name, counter.part))
        self._groups.write(connection, now, groups)
        return _levels(asked, now)

    def sweep(self, connection: sqlite3.Connection, now: float, after: tuple[str, str]) -> tuple[str, str]:
        """Forget what is over among the rows ``after`` the last sweep's last one; return this sweep's last one."""
        rows = connection.execute(
            "SELECT owner, name, ends FROM ledger WHERE (owner, name) > (?, ?) ORDER BY owner, name LIMIT ?",
            (*after, _SWEPT_AT_ONCE),
        ).fetchall()
        for owner, name, ends in rows:
            if ends > now:
                continue
            if name.startswith("call "):
                self._close(connection, now, owner, name.removeprefix("call "))
            else:
                connection.execute("DELETE FROM ledger WHERE owner = ? AND name = ? AND ends <= ?", (owner, name, now))
        return (rows[-1][0], rows[-1][1]) if len(rows) == _SWEPT_AT_ONCE else ("", "")

    def _open(
        self, connection: sqlite3.Connection, now: float, owner: str, call_id: str, ends: float, taken: Taken
    ) -> bool:
        """Write the reservation of a call; return False if it has one."""
        row = owner, f"call {call_id}", ends, orjson.dumps(taken)
        if connection.execute("INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?)", row).rowcount:
            return True
        if self._is_open(connection, now, owner, call_id):
            return False
        self._close(connection, now, owner, call_id)
        connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?)", row)
        return True

    def _is_open(self, connection: sqlite3.Connection, now: float, owner: str, call_id: str) -> bool:
        found = connection.execute(
            "SELECT 1 FROM ledger WHERE owner = ? AND name = ? AND ends > ?", (owner, f"call {call_id}", now)
        )
        return found.fetchone() is not None

    def _close(self, connection: sqlite3.Connection, now: float, owner: str, call_id: str) -> Taken:
        """Delete a reservation and return what it holds; of one whose lease has ended that is given back here."""
        row = connection.execute(
            "DELETE FROM ledger WHERE owner = ? AND name = ? RETURNING ends, state", (owner, f"call {call_id}")
        ).fetchone()
        if row is None:
            return []
        taken: Taken = orjson.loads(row[1])
        if row[0] > now:
            return taken
        self._groups.write(connection, now, self._give_back(connection, now, owner, taken))
        return []

    def _end_leases(self, connection: sqlite3.Connection, now: float, owner: str, groups: Iterable[Group]) -> None:
        """Give back what calls hold whose leases have ended; ``groups`` know when the next lease ends."""
        ended = connection.execute(f"SELECT name {_OF_OWNER} AND ends <= ? LIMIT ?", (owner, now, _ENDED_AT_ONCE))
        for (name,) in ended.fetchall():
            self._close(connection, now, owner, name.removeprefix("call "))
        ((next_end,),) = connection.execute(f"SELECT min(ends) {_OF_OWNER}", (owner,))
        for group in groups:
            group.lease_ends = FOREVER if next_end is None else next_end

    def _give_back(self, connection: sqlite3.Connection, now: float, owner: str, taken: Taken) -> set[Group]:
        """Give back what was taken; return the groups that must be written."""
        groups = set()
        for name, amount, part in taken:
            group = self._groups.of(connection, owner, name)
            group.counter(name, now).take(-amount, part)
            groups.add(group)
        return groups


def _levels(asked: Sequence[Asked], now: float) -> tuple[Level, ...]:
    return tuple([level(counter, claim, now) for claim, _, counter, _ in asked])
