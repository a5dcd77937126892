"""Recordings in SQLite: what happens within one transaction, at one time.

What a writer is told by an error is returned here: an exception would end the transaction of all that share it.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from switchyard.store.recordings.contract import (
    AFTER_SECONDS,
    FOLLOWED_SECONDS,
    Bounds,
    Held,
    Page,
    SupersededError,
    kind_of,
)
from switchyard.store.recordings.sqlite_schema import COLUMNS, PAGE_OF_ID, PAGE_OF_NAME, SEGMENTS, Row, read_page

_EVICTED_AT_ONCE = 256  # recordings that make room for one
_ENDED_AT_ONCE = 2  # that one which is kept forgets for others: more than it adds
_SWEPT_AT_ONCE = 5000  # recordings that one sweep looks at: 2 ms
_REMOVED_AT_ONCE, _REMOVED_BYTES = 400, 16 * 1024 * 1024  # of them: some 20 ms, in which others wait
_CLEARED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What ``Recordings.claim`` is asked for; the first of ``names`` is claimed, the others are aliases."""

    scope: str
    names: tuple[str, ...]
    id: str
    fingerprint: bytes
    lease: float
    ttl: float
    report_lost: bool


class Rows:
    """The rows of all recordings, at the time ``now``."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._now = now

    def page_of_name(self, scope: str, name: str, after: int) -> Page | None:
        row, segments = self._read(PAGE_OF_NAME, scope, name, after)
        return row.page(self._now, after, segments) if row else None

    def follow(self, scope: str, recording: str, after: int) -> tuple[Page | None, bool]:
        """Return the page, and whether the follower is to be marked: half of the last mark's time is over."""
        row, segments = self._read(PAGE_OF_ID, scope, recording, after)
        if row is None:
            return None, False
        unmarked = row.state == "running" and row.followed_until < self._now + FOLLOWED_SECONDS / 2
        return row.page(self._now, after, segments), unmarked

    def mark_followed(self, scope: str, recording: str) -> None:
        if row := self._row(scope, recording):
            self._set(row, followed_until=self._now + FOLLOWED_SECONDS)

    def claim(self, claimed: Claimed) -> Page | ValueError | None:
        row, segments = self._read(PAGE_OF_NAME, claimed.scope, claimed.names[0], 0)
        if row is None:
            return self._begin(claimed)
        if row.id == claimed.id and row.state == "running":  # asked again: its response was not received
            self._set(row, lease_ends=self._now + claimed.lease, reported_to="")
            return None
        if row.state_at(self._now) == "lost":
            if not claimed.report_lost or row.reported_to not in ("", claimed.id):
                self._remove(row)
                return self._begin(claimed)
            self._set(row, reported_to=claimed.id)
        return row.page(self._now, 0, segments)

    def append(
        self, scope: str, recording: str, number: int, segment: bytes, lease: float
    ) -> bool | SupersededError | ValueError:
        row = self._row(scope, recording)
        if row is None or row.state != "running":
            return _superseded(recording)
        added = self._add(row, number, segment)
        if isinstance(added, ValueError):
            return added
        segments, size = added
        self._set(row, lease_ends=self._now + lease, reported_to="", segments=segments, size=size)
        return row.followed_until > self._now

    def finish(
        self, scope: str, recording: str, number: int, segment: bytes, ttl: float, bounds: Bounds | None
    ) -> SupersededError | ValueError | None:
        """End a recording: complete with ``bounds``, else failed."""
        row, state = self._row(scope, recording), "complete" if bounds else "failed"
        if row is None or row.state not in ("running", state):
            return _superseded(recording)
        if row.state == state:  # asked again: its response was not received
            return None
        added = self._add(row, number, segment)
        if isinstance(added, ValueError):
            return added
        segments, size = added
        if bounds and self._make_room(row, size, bounds):
            self._set(row, state=state, kept=1, ends=self._now + ttl, segments=segments, size=size)
            self._count(row, 1, size)
        else:
            self._unname(row)
            self._set(row, state=state, names=b"[]", ends=self._now + AFTER_SECONDS, segments=segments, size=size)
        return None

    def forget(self, scope: str, name: str) -> bool:
        row, _ = self._read(PAGE_OF_NAME, scope, name, 0)
        if row is not None:
            self._remove(row)
        return row is not None

    def clear(self, scope: str, kind: str) -> tuple[int, bool]:
        """Forget some; return how many were not over, and whether there are no more."""
        rows = self._kept(scope, kind, _CLEARED_AT_ONCE)
        self._remove(*rows)
        return sum(row.ends > self._now for row in rows), len(rows) < _CLEARED_AT_ONCE

    def held(self, scope: str) -> Mapping[str, Held]:
        found = self._execute(
            "SELECT kind, count(*), sum(size) FROM recordings WHERE scope = ? AND kept AND ends > ? GROUP BY kind",
            (scope, self._now),
        )
        return {kind: Held(recordings=count, size=size) for kind, count, size in found}

    def sweep(self, after: int) -> int:
        """Forget what is over of some recordings from the last sweep's last one on; return this sweep's last one."""
        looked, removed, size = 0, 0, 0
        query = "SELECT recording, ends, size FROM recordings WHERE recording > ? ORDER BY recording LIMIT ?"
        for recording, ends, bytes_of_it in self._execute(query, (after, _SWEPT_AT_ONCE)).fetchall():
            after, looked = recording, looked + 1
            if ends > self._now:
                continue
            self._remove(*self._rows("recording = ?", recording))
            removed, size = removed + 1, size + bytes_of_it
            if removed == _REMOVED_AT_ONCE or size > _REMOVED_BYTES:
                return after
        return after if looked == _SWEPT_AT_ONCE else 0

    def _begin(self, claimed: Claimed) -> ValueError | None:
        now, name = self._now, claimed.names[0]
        begun = self._execute(
            "INSERT OR IGNORE INTO recordings VALUES (NULL, ?, ?, ?, ?, ?, 'running', 0, ?, ?, ?, 0, '', 0, 0)",
            (
                claimed.scope,
                claimed.id,
                orjson.dumps(claimed.names),
                kind_of(name),
                claimed.fingerprint,
                now,
                now + claimed.lease,
                now + claimed.ttl,
            ),
        )
        if not begun.rowcount:
            return ValueError(f"another recording has the id {claimed.id!r}")
        for one in claimed.names:
            self._execute(
                "INSERT OR REPLACE INTO recording_names VALUES (?, ?, ?)", (claimed.scope, one, begun.lastrowid)
            )
        return None

    def _add(self, row: Row, number: int, segment: bytes) -> tuple[int, int] | ValueError:
        """Add a segment, unless it is there; return how many there are then, and their size."""
        if not segment or number < row.segments:
            return row.segments, row.size
        if number > row.segments or number >= SEGMENTS:
            return ValueError(f"segment {number} is not the next one: there are {row.segments}")
        place = row.recording * SEGMENTS + number
        self._execute("INSERT INTO recording_segments VALUES (?, ?)", (place, segment))
        return row.segments + 1, row.size + len(segment)

    def _make_room(self, row: Row, size: int, bounds: Bounds) -> bool:
        """Forget what ends first until a recording of this size can be kept; return whether it can."""
        if size > bounds.size or bounds.recordings < 1:
            return False
        counted = self._execute(
            "SELECT recordings, size FROM recordings_held WHERE scope = ? AND kind = ?", (row.scope, row.kind)
        ).fetchone()
        recordings, held = counted or (0, 0)
        for evicted in range(_EVICTED_AT_ONCE):
            fits = recordings < bounds.recordings and held + size <= bounds.size
            first = next(iter(self._kept(row.scope, row.kind, 1)), None)
            if first is None or (fits and (first.ends > self._now or evicted == _ENDED_AT_ONCE)):
                return fits
            self._remove(first)
            recordings, held = recordings - 1, held - first.size
        return False

    def _count(self, row: Row, recordings: int, size: int) -> None:
        self._execute(
            "INSERT INTO recordings_held VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET recordings = recordings + excluded.recordings, size = size + excluded.size",
            (row.scope, row.kind, recordings, size),
        )

    def _remove(self, *rows: Row) -> None:
        for row in rows:
            self._unname(row)
            first = row.recording * SEGMENTS
            self._execute("DELETE FROM recording_segments WHERE place >= ? AND place < ?", (first, first + SEGMENTS))
            self._execute("DELETE FROM recordings WHERE recording = ?", (row.recording,))
            if row.kept:
                self._count(row, -1, -row.size)

    def _unname(self, row: Row) -> None:
        for name in orjson.loads(row.names):
            self._execute(
                "DELETE FROM recording_names WHERE scope = ? AND name = ? AND recording = ?",
                (row.scope, name, row.recording),
            )

    def _set(self, row: Row, **values: str | float | bytes) -> None:
        columns = ", ".join([f"{column} = ?" for column in values])
        self._execute(
            f"UPDATE recordings SET {columns} WHERE recording = ?",  # noqa: S608 - names of columns
            (*values.values(), row.recording),
        )

    def _row(self, scope: str, recording: str) -> Row | None:
        return next(iter(self._rows("scope = ? AND id = ? AND ends > ?", scope, recording, self._now)), None)

    def _kept(self, scope: str, kind: str, count: int) -> list[Row]:
        """Return those that end first."""
        return self._rows("scope = ? AND kind = ? AND kept ORDER BY ends LIMIT ?", scope, kind, count)

    def _rows(self, condition: str, *values: str | float) -> list[Row]:
        found = self._execute(f"SELECT {COLUMNS} FROM recordings WHERE {condition}", values)  # noqa: S608 - constants
        return [Row(*row) for row in found]

    def _read(self, query: str, scope: str, key: str, after: int) -> tuple[Row | None, list[bytes]]:
        return read_page(self._connection, query, self._now, scope, key, after)


def _superseded(recording: str) -> SupersededError:
    return SupersededError(f"the recording {recording} has another writer, or it is over")
