import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from switchyard.store.ledger import Claim, Entry, Grant
from switchyard.store.sqlite_ledger import SqliteLedger

DAY = 86400


def rows_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(count)


@pytest.fixture(autouse=True)
def sweep_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.store.sqlite_ledger._SWEEP_SECONDS", 0.0)


async def test_what_is_over_is_removed_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.store.sqlite_reservations._SWEPT_AT_ONCE", 7)
    path, now = tmp_path / "ledger.db", 1_800_000_000.0
    ledger = SqliteLedger(path, clock=lambda: now)
    for number in range(20):
        claims = [
            Claim("in-flight", 1, 10, "held"),
            Claim("requests", 1, 10, "rolling", seconds=60),
            Claim("money", 1, 10, "period", ends=now + 100),
        ]
        await ledger.reserve(f"tenant-{number}", f"left-{number}", claims, lease=60)
        await ledger.settle(f"tenant-{number}", f"settled-{number}", claims, None)
    await ledger.settle("tenant", "entry", [], Entry(b"row", "", (1,)))
    await ledger.owners()
    assert [rows_of(path, table) for table in ("ledger", "usage", "totals")] == [80, 21, 3]

    now += 2 * DAY + 3600
    for _ in range(12):  # each sweep looks at some
        await ledger.owners()
    # What is left: the row, and its totals by hour and day.
    assert [rows_of(path, table) for table in ("ledger", "usage", "totals")] == [0, 1, 2]
    assert await ledger.settle("tenant", "entry", [], Entry(b"row", "", (1,))) is None
    await ledger.aclose()


async def test_rows_keep_their_order_when_the_clock_is_set_back(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    ledger = SqliteLedger(tmp_path / "ledger.db", clock=lambda: now)
    for number in range(3):
        await ledger.settle("tenant", str(number), [], Entry(b"%d" % number, "", (1,)))
        assert len(await ledger.totals("tenant", since=0, until=10**10, width=60)) == 1
        await ledger.prune(int(now) - DAY)
        now -= 1.0

    assert [row for _, row in await ledger.rows("tenant", since=0, until=10**10)] == [b"0", b"1", b"2"]
    (total,) = await ledger.totals("tenant", since=0, until=10**10, width=60)
    assert total.amounts == (3,)
    await ledger.aclose()


@pytest.mark.parametrize(("back", "granted"), [(30.0, False), (DAY, True)])
async def test_a_clock_set_back_blocks_for_two_windows_at_most(tmp_path: Path, back: float, granted: bool) -> None:
    now = 1_800_000_000.0
    ledger = SqliteLedger(tmp_path / "ledger.db", clock=lambda: now)
    claim = Claim("requests", 6, 10, "rolling", seconds=60)
    await ledger.reserve("tenant", "one", [claim], lease=3600)
    now -= back
    result = await ledger.reserve("tenant", "two", [claim], lease=3600)

    assert isinstance(result, Grant) == granted
    assert result.levels[0].used == 6
    assert result.levels[0].free_in <= 2 * 61
    await ledger.aclose()
