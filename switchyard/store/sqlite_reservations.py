"""Counters and reservations of a ledger in SQLite: what happens within one transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache

import orjson

from switchyard.store.counters import Counter, fits, level, restored, stored_name
from switchyard.store.ledger import Claim, Denial, Grant, Level

SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    owner TEXT NOT NULL, name TEXT NOT NULL, ends REAL NOT NULL, state NOT NULL, PRIMARY KEY (owner, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
    owner TEXT NOT NULL, call_id TEXT NOT NULL, ends REAL NOT NULL, taken BLOB NOT NULL, PRIMARY KEY (owner, call_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reservations_by_end ON reservations (ends);
"""
_ENDED_AT_ONCE = 64  # reservations that one call gives back for others, so that it stays short
_SWEPT_AT_ONCE = 5000  # counters that one sweep looks at: 2 ms

Taken = Iterable[tuple[str, int, int]]  # the stored name of a counter, an amount, the part in which it was taken


def reserve(
    connection: sqlite3.Connection, now: float, owner: str, call_id: str, claims: Sequence[Claim], lease: float
) -> Grant | Denial:
    end_leases(connection, now)
    names = [stored_name(claim) for claim in claims]
    counters = _read(connection, now, owner, names, claims)
    denied = [index for index, claim in enumerate(claims) if not fits(counters[names[index]], claim)]
    if denied:
        levels = _levels(counters, names, claims, now)
        if _reserved(connection, owner, call_id):
            return Grant(levels)
        return Denial(levels, max(denied, key=lambda index: levels[index].free_in))
    taken = [(name, claim.amount, counters[name].part) for name, claim in zip(names, claims, strict=True)]
    row = owner, call_id, now + lease, orjson.dumps(taken)
    if connection.execute("INSERT OR IGNORE INTO reservations VALUES (?, ?, ?, ?)", row).rowcount:
        for name, amount, part in taken:
            counters[name].take(amount, part)
        _write(connection, owner, counters)
    return Grant(_levels(counters, names, claims, now))


def renew(connection: sqlite3.Connection, now: float, owner: str, call_ids: Sequence[str], lease: float) -> None:
    connection.executemany(
        "UPDATE reservations SET ends = ? WHERE owner = ? AND call_id = ? AND ends > ?",
        [(now + lease, owner, call_id, now) for call_id in call_ids],
    )


def settle(
    connection: sqlite3.Connection, now: float, owner: str, call_id: str, claims: Sequence[Claim]
) -> tuple[Level, ...]:
    names = [stored_name(claim) for claim in claims]
    taken = _take_back(connection, now, owner, call_id)
    counters = _read(connection, now, owner, names, claims)
    parts = {}
    for name, amount, part in taken:
        parts[name] = part
        if name in counters:
            counters[name].take(-amount, part)
    for name, claim in zip(names, claims, strict=True):
        if claim.kind != "held":
            counters[name].take(claim.amount, parts.get(name, counters[name].part))
    _write(connection, owner, counters)
    _give_back(connection, now, owner, [entry for entry in taken if entry[0] not in counters])
    return _levels(counters, names, claims, now)


def end_leases(connection: sqlite3.Connection, now: float) -> None:
    ended = connection.execute(
        "SELECT owner, call_id, taken FROM reservations WHERE ends <= ? LIMIT ?", (now, _ENDED_AT_ONCE)
    ).fetchall()
    for owner, call_id, taken in ended:
        connection.execute("DELETE FROM reservations WHERE owner = ? AND call_id = ?", (owner, call_id))
        _give_back(connection, now, owner, orjson.loads(taken))


def sweep(connection: sqlite3.Connection, now: float, after: tuple[str, str]) -> tuple[str, str]:
    """Forget counters that are over among those ``after`` the last sweep's last one; return this sweep's last one."""
    rows = connection.execute(
        "SELECT owner, name, ends FROM counters WHERE (owner, name) > (?, ?) ORDER BY owner, name LIMIT ?",
        (*after, _SWEPT_AT_ONCE),
    ).fetchall()
    connection.executemany(
        "DELETE FROM counters WHERE owner = ? AND name = ? AND ends <= ?",
        [(owner, name, now) for owner, name, ends in rows if ends <= now],
    )
    return (rows[-1][0], rows[-1][1]) if len(rows) == _SWEPT_AT_ONCE else ("", "")


def _reserved(connection: sqlite3.Connection, owner: str, call_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM reservations WHERE owner = ? AND call_id = ?", (owner, call_id))
    return found.fetchone() is not None


def _take_back(connection: sqlite3.Connection, now: float, owner: str, call_id: str) -> list[tuple[str, int, int]]:
    """Delete a reservation and return what it took; a lease that has ended was given back, or is to be now."""
    row = connection.execute(
        "DELETE FROM reservations WHERE owner = ? AND call_id = ? RETURNING ends, taken", (owner, call_id)
    ).fetchone()
    if row is None:
        return []
    taken: list[tuple[str, int, int]] = orjson.loads(row[1])
    if row[0] > now:
        return taken
    _give_back(connection, now, owner, taken)
    return []


def _give_back(connection: sqlite3.Connection, now: float, owner: str, taken: Taken) -> None:
    taken = list(taken)
    if not taken:
        return
    counters = _read(connection, now, owner, [name for name, _, _ in taken], ())
    for name, amount, part in taken:
        counters[name].take(-amount, part)
    _write(connection, owner, counters)


def _read(
    connection: sqlite3.Connection, now: float, owner: str, names: Sequence[str], claims: Sequence[Claim]
) -> dict[str, Counter]:
    """Return the counters in force; one that ``claims`` begin has their end, another one is over already."""
    if not names:
        return {}
    stored = {
        name: (state, ends)
        for name, state, ends in connection.execute(_select(len(names)), (owner, *names))
        if ends > now
    }
    ends = {name: claim.ends for name, claim in zip(names, claims, strict=False) if claim.kind == "period"}
    counters = {}
    for name in names:
        state, end = stored.get(name, (None, 0.0))
        counters[name] = restored(name, state, ends.get(name, end), now)
    return counters


def _write(connection: sqlite3.Connection, owner: str, counters: dict[str, Counter]) -> None:
    values: list[str | float | int | bytes] = []
    for name, counter in counters.items():
        values += owner, name, counter.ends, counter.state
    if values:
        connection.execute(_replace(len(counters)), values)


def _levels(
    counters: dict[str, Counter], names: Sequence[str], claims: Sequence[Claim], now: float
) -> tuple[Level, ...]:
    return tuple(level(counters[name], claim, now) for name, claim in zip(names, claims, strict=True))


@cache  # one text for each number of claims: SQLite then finds its prepared statement
def _select(count: int) -> str:
    marks = ", ".join("?" * count)
    return f"SELECT name, state, ends FROM counters WHERE owner = ? AND name IN ({marks})"  # noqa: S608 - question marks


@cache
def _replace(count: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?)"] * count)
    return f"INSERT OR REPLACE INTO counters VALUES {marks}"  # noqa: S608 - question marks
