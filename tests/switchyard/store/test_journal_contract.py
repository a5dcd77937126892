"""What every journal does, held to by SQLite and Redis."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_journal
from switchyard.store.journal.contract import Journal

ALL = 1000


@pytest.fixture
async def journal(url: str) -> AsyncIterator[Journal]:
    opened = open_journal(url)
    yield opened
    await opened.aclose()


async def filled(journal: Journal, count: int) -> list[str]:
    """The cursors of so many entries, which are 0, 1, …"""
    return [await journal.append(b"%d" % number) for number in range(count)]


def entries(found: list[tuple[str, bytes]]) -> list[int]:
    return [int(entry) for _, entry in found]


async def test_a_journal_that_nobody_wrote_is_empty(journal: Journal) -> None:
    assert await journal.older() == []


async def test_the_newest_comes_first_with_its_cursor(journal: Journal) -> None:
    cursors = await filled(journal, 3)
    assert await journal.older() == [(cursor, b"%d" % number) for number, cursor in enumerate(cursors)][::-1]


async def test_pages_go_back_from_a_cursor_and_forth(journal: Journal) -> None:
    cursors = await filled(journal, 7)
    assert entries(await journal.older(count=3)) == [6, 5, 4]
    assert entries(await journal.older(than=cursors[4], count=3)) == [3, 2, 1]
    assert entries(await journal.older(than=cursors[0])) == []
    assert entries(await journal.newer(than=cursors[1], count=2)) == [3, 2]
    assert entries(await journal.newer(than=cursors[6])) == []


async def test_entries_of_many_processes_have_one_order_and_no_cursor_comes_twice(journal: Journal, url: str) -> None:
    others = [open_journal(url) for _ in range(4)]
    try:
        cursors: list[str] = []
        for _ in range(5):  # of each no more than it has connections: who waits a second for one gets an error
            cursors += await asyncio.gather(*(one.append(b"1") for one in others for _ in range(10)))
        assert len(set(cursors)) == 200
        assert len(await journal.older(count=ALL)) == 200
    finally:
        for one in others:
            await one.aclose()


async def test_what_is_old_is_forgotten_and_its_cursors_stay_taken(journal: Journal) -> None:
    cursors = await filled(journal, 3)
    await journal.prune(before=int(time.time()) - 60, most=ALL)
    assert len(await journal.older()) == 3
    await journal.prune(before=int(time.time()) + 60, most=ALL)
    assert await journal.older() == []
    assert await journal.append(b"3") not in cursors


async def test_no_more_than_the_last_few_are_kept(journal: Journal) -> None:
    await filled(journal, 7)
    await journal.prune(before=0, most=3)
    assert entries(await journal.older()) == [6, 5, 4]
    await journal.prune(before=0, most=3)
    assert entries(await journal.older()) == [6, 5, 4]


@pytest.mark.parametrize("cursor", ["x", "1-", "-1", "+", "٣", "1" * 40, "1 OR 1=1"])
async def test_what_is_no_cursor_is_said(journal: Journal, cursor: str) -> None:
    for found in (journal.older(than=cursor), journal.newer(than=cursor)):
        with pytest.raises(ValueError, match="no cursor"):
            await found


async def test_what_is_closed_says_so_and_may_be_closed_again(journal: Journal) -> None:
    await journal.append(b"")
    await journal.aclose()
    await journal.aclose()
    with pytest.raises(StoreError, match="closed"):
        await journal.older()
