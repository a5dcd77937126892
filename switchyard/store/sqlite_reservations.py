"""Reservations of a ledger in SQLite: what happens within one transaction."""

import sqlite3
from collections.abc import Iterable, Sequence

import orjson

from switchyard.store.counters import FOREVER, level
from switchyard.store.ledger import Claim, Denial, Grant, Level
from switchyard.store.sqlite_counters import Asked, Group, Groups

_ENDED_AT_ONCE = 64  # reservations that one call gives back for others, so that it stays short
_SWEPT_AT_ONCE = 5000  # rows that one sweep looks at: 2 ms
_OF_OWNER = "FROM ledger WHERE owner = ? AND name >= 'call ' AND name < 'call!'"

Taken = Sequence[tuple[str, int, int]]  # the stored name of a counter, an amount, the part in which it was taken


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
