"""Tables of recordings in SQLite, and how a recording is read from them."""

import sqlite3
from typing import NamedTuple

from switchyard.store.recordings.contract import INLINE_BYTES, Page, Recording, State

SEGMENTS = 2**20  # of one recording, at most: their places are its number times this, and on
FILE_BYTES = 8 * 2**30  # what is written then fails until something is over, as it does when a disk is full
_PAGE_BYTES = 4096  # SQLite's default
# ``kept`` says that it is complete and its size is in ``recordings_held``.
SCHEMA = f"""
PRAGMA max_page_count = {FILE_BYTES // _PAGE_BYTES};
CREATE TABLE IF NOT EXISTS recordings (
    recording INTEGER PRIMARY KEY, scope TEXT NOT NULL, id TEXT NOT NULL, names BLOB NOT NULL, kind TEXT NOT NULL,
    fingerprint BLOB NOT NULL, state TEXT NOT NULL, kept INTEGER NOT NULL, began REAL NOT NULL,
    lease_ends REAL NOT NULL, ends REAL NOT NULL, followed_until REAL NOT NULL, reported_to TEXT NOT NULL,
    segments INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS recordings_by_id ON recordings (scope, id);
CREATE INDEX IF NOT EXISTS recordings_kept ON recordings (scope, kind, ends, size) WHERE kept;
CREATE TABLE IF NOT EXISTS recording_names (
    scope TEXT NOT NULL, name TEXT NOT NULL, recording INTEGER NOT NULL, PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recording_segments (place INTEGER PRIMARY KEY, segment BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS recordings_held (
    scope TEXT NOT NULL, kind TEXT NOT NULL, recordings INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (scope, kind)
) WITHOUT ROWID;
"""
COLUMNS = (
    "recording, recordings.scope, id, names, kind, fingerprint, state, kept, began, lease_ends, ends, followed_until,"
    " reported_to, segments, size"
)
# One statement, so that recording and segments are of one moment without a transaction.
_PAGE = f"""
SELECT {COLUMNS}, segment FROM {{}} LEFT JOIN recording_segments
ON place >= recording * {SEGMENTS} + ? AND place < (recording + 1) * {SEGMENTS}
WHERE {{}} AND ends > ? ORDER BY place
"""  # noqa: S608 - constants
PAGE_OF_NAME = _PAGE.format(
    "recording_names AS named JOIN recordings USING (recording)", "named.scope = ? AND named.name = ?"
)
PAGE_OF_ID = _PAGE.format("recordings", "scope = ? AND id = ?")


class Row(NamedTuple):
    recording: int
    scope: str
    id: str
    names: bytes
    kind: str
    fingerprint: bytes
    state: State
    kept: int
    began: float
    lease_ends: float
    ends: float
    followed_until: float
    reported_to: str
    segments: int
    size: int

    def state_at(self, now: float) -> State:
        return "lost" if self.state == "running" and self.lease_ends <= now else self.state

    def page(self, now: float, first: int, segments: list[bytes]) -> Page:
        recording = Recording(
            id=self.id,
            fingerprint=self.fingerprint,
            state=self.state_at(now),
            age=now - self.began,
            left=self.ends - now,
            segments=self.segments,
            size=self.size,
        )
        return Page(recording=recording, first=first, segments=segments)


def read_page(
    connection: sqlite3.Connection, query: str, now: float, scope: str, key: str, after: int
) -> tuple[Row | None, list[bytes]]:
    """Return a recording that is not over at ``now``, and those of its segments from ``after`` on that come with it."""
    row: Row | None = None
    segments: list[bytes] = []
    size = 0
    cursor = connection.execute(query, (after, scope, key, now))
    for *columns, segment in cursor:
        row = row or Row(*columns)
        if segment is None:
            break
        size += len(segment)
        if segments and size > INLINE_BYTES:
            break
        segments.append(segment)
    cursor.close()  # it would keep the log from going into the file
    return row, segments
