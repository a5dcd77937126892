"""Usage of a ledger in SQLite: one row for each settled call, and totals that are rolled up from them.

A settled call costs one row. Totals are brought up to date before they are read, and by each sweep, so that there is
never much to do. A row's key is its time in microseconds, later than any before it: order, cursor and time in one.
"""

import sqlite3
from collections.abc import Iterator

import orjson

from switchyard.store.ledger import Entry, Total, Width

# A call without an entry is a row as well, without content: it only says that the call was settled.
SCHEMA = """
CREATE TABLE IF NOT EXISTS usage (
    at INTEGER PRIMARY KEY, owner TEXT NOT NULL, call_id TEXT NOT NULL, dimensions TEXT, amounts BLOB, content BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS usage_by_call ON usage (call_id, owner);
CREATE INDEX IF NOT EXISTS usage_by_owner ON usage (owner) WHERE content IS NOT NULL;
CREATE INDEX IF NOT EXISTS usage_without_entry ON usage (at) WHERE content IS NULL;
CREATE TABLE IF NOT EXISTS totals (
    owner TEXT NOT NULL, width INTEGER NOT NULL, start INTEGER NOT NULL, dimensions TEXT NOT NULL,
    amounts BLOB NOT NULL, PRIMARY KEY (owner, width, start, dimensions)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rolled_up (only INTEGER PRIMARY KEY CHECK (only = 1), until INTEGER NOT NULL);
INSERT OR IGNORE INTO rolled_up VALUES (1, 0);
"""
MICROSECONDS = 1_000_000
DAY = 86400
MINUTES_KEPT = 2 * DAY
_WIDTHS: tuple[Width, ...] = (60, 3600, 86400)
_NEXT = (
    "(SELECT ifnull(max(at), (SELECT until FROM rolled_up)) + 1 FROM usage)"  # later than any row, also a pruned one
)
_ROLLED_AT_ONCE = 1000
_PRUNED_AT_ONCE = 5000  # rows in one transaction: others wait for it
_OWNERS_SWEPT = 50


def add(connection: sqlite3.Connection, now: float, owner: str, call_id: str, entry: Entry | None) -> bool:
    """Write the row of a call; return False if it has one already."""
    content = (entry.dimensions, orjson.dumps(entry.amounts), entry.row) if entry else (None, None, None)
    added = connection.execute(
        f"INSERT OR IGNORE INTO usage VALUES (max(?, {_NEXT}), ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        (int(now * MICROSECONDS), owner, call_id, *content),
    )
    return added.rowcount == 1


def roll_up(connection: sqlite3.Connection) -> None:
    """Add to the totals what was settled since the last time."""
    ((until,),) = connection.execute("SELECT until FROM rolled_up").fetchall()
    while rows := connection.execute(
        "SELECT at, owner, dimensions, amounts FROM usage WHERE at > ? ORDER BY at LIMIT ?", (until, _ROLLED_AT_ONCE)
    ).fetchall():
        until = rows[-1][0]
        sums: dict[tuple[str, int, int, str], list[int]] = {}
        for at, owner, dimensions, amounts in rows:
            if amounts is None:
                continue
            second, numbers = at // MICROSECONDS, orjson.loads(amounts)
            for width in _WIDTHS:
                key = owner, width, second - second % width, dimensions
                sums[key] = _plus(sums.get(key, ()), numbers)
        _add_to_totals(connection, sums)
        connection.execute("UPDATE rolled_up SET until = ?", (until,))


def totals(connection: sqlite3.Connection, owner: str, since: int, until: int, width: Width) -> list[Total]:
    found = connection.execute(
        "SELECT start, dimensions, amounts FROM totals WHERE owner = ? AND width = ? AND start >= ? AND start < ?"
        " ORDER BY start, dimensions",
        (owner, width, since, until),
    )
    return [Total(start, dimensions, tuple(orjson.loads(amounts))) for start, dimensions, amounts in found]


def rows(
    connection: sqlite3.Connection, owner: str, since: int, until: int, after: str, count: int
) -> list[tuple[str, bytes]]:
    found = connection.execute(
        "SELECT at, content FROM usage WHERE owner = ? AND content IS NOT NULL AND at > ? AND at < ?"
        " ORDER BY at LIMIT ?",
        (owner, max(since * MICROSECONDS - 1, int(after or 0)), until * MICROSECONDS, count),
    )
    return [(str(at), content) for at, content in found]


def owners(connection: sqlite3.Connection) -> Iterator[str]:
    return _owners_after(connection, "")


def prune(connection: sqlite3.Connection, before: int) -> bool:
    """Forget some rows from before ``before``, then the totals that end by then; return whether it is done."""
    deleted = connection.execute(
        "DELETE FROM usage WHERE at IN (SELECT at FROM usage WHERE at < ? ORDER BY at LIMIT ?)",
        (before * MICROSECONDS, _PRUNED_AT_ONCE),
    )
    if deleted.rowcount == _PRUNED_AT_ONCE:
        return False
    for owner in list(owners(connection)):
        for width in _WIDTHS:
            _forget_totals(connection, owner, width, before - width)
    return True


def sweep(connection: sqlite3.Connection, now: float, after: str) -> str:
    """Forget what is over for some owners ``after`` the last sweep's last one; return this sweep's last one."""
    connection.execute(
        "DELETE FROM usage WHERE at IN (SELECT at FROM usage WHERE content IS NULL AND at < ? LIMIT ?)",
        (int((now - DAY) * MICROSECONDS), _PRUNED_AT_ONCE),
    )
    for swept, owner in enumerate(_owners_after(connection, after)):
        if swept == _OWNERS_SWEPT:
            return after
        _forget_totals(connection, owner, 60, int(now) - MINUTES_KEPT)
        after = owner
    return ""


def _forget_totals(connection: sqlite3.Connection, owner: str, width: Width, last: int) -> None:
    connection.execute("DELETE FROM totals WHERE owner = ? AND width = ? AND start <= ?", (owner, width, last))


def _owners_after(connection: sqlite3.Connection, owner: str) -> Iterator[str]:
    while True:  # one step into the index for each owner, where DISTINCT would read every row
        ((found,),) = connection.execute("SELECT min(owner) FROM totals WHERE owner > ?", (owner,)).fetchall()
        if found is None:
            return
        owner = found
        yield owner


def _add_to_totals(connection: sqlite3.Connection, sums: dict[tuple[str, int, int, str], list[int]]) -> None:
    for key, numbers in sums.items():
        stored = connection.execute(
            "SELECT amounts FROM totals WHERE owner = ? AND width = ? AND start = ? AND dimensions = ?", key
        ).fetchone()
        before = orjson.loads(stored[0]) if stored else ()
        connection.execute(
            "INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?)", (*key, orjson.dumps(_plus(before, numbers)))
        )


def _plus(one: list[int] | tuple[int, ...], other: list[int]) -> list[int]:
    """Return the sums; entries of an older form have fewer amounts."""
    if len(one) < len(other):
        return [*map(int.__add__, one, other), *other[len(one) :]]
    return [*map(int.__add__, one, other), *one[len(other) :]]
