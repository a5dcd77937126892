"""What every collection of records does, held to by SQLite and Redis."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_records
from switchyard.store.records.contract import Record, Records
from tests.switchyard.store.conftest import RedisServer


@pytest.fixture
async def records(url: str) -> AsyncIterator[Records]:
    opened = open_records(url)
    yield opened
    await opened.aclose()


async def names(records: Records, after: int = 0) -> list[str]:
    return [record.name for record in (await records.changes("keys", after=after)).records]


async def test_a_collection_that_nobody_wrote_is_empty(records: Records) -> None:
    found = await records.changes("keys", after=0)
    assert (found.records, found.revision, found.epoch) == ((), 0, "")


@pytest.mark.parametrize("value", [b"", bytes(range(256)), b"x" * 50_000])
async def test_a_record_comes_back_as_it_was_put(records: Records, value: bytes) -> None:
    revision = await records.put("keys", "one", value, expected=0)
    assert revision == 1
    found = await records.changes("keys", after=0)
    assert found.records == (Record("one", value, 1),)
    assert found.revision == 1


async def test_a_change_is_seen_once_and_the_last_value_counts(records: Records) -> None:
    await records.put("keys", "one", b"old", expected=0)
    await records.put("keys", "two", b"other", expected=0)
    assert await records.put("keys", "one", b"new", expected=1) == 3

    assert await names(records) == ["two", "one"]
    assert (await records.changes("keys", after=2)).records == (Record("one", b"new", 3),)
    assert await names(records, after=3) == []


@pytest.mark.parametrize("expected", [0, 1, 99])
async def test_a_record_of_another_revision_is_not_overwritten(records: Records, expected: int) -> None:
    await records.put("keys", "one", b"first", expected=0)
    await records.put("keys", "one", b"second", expected=1)
    assert await records.put("keys", "one", b"lost", expected=expected) is None
    assert (await records.changes("keys", after=0)).records == (Record("one", b"second", 2),)


async def test_a_record_that_is_not_there_cannot_be_changed(records: Records) -> None:
    assert await records.put("keys", "one", b"value", expected=1) is None
    assert await names(records) == []


async def test_to_repeat_a_put_changes_nothing(records: Records) -> None:
    await records.put("keys", "one", b"value", expected=0)
    assert await records.put("keys", "one", b"value", expected=0) == 1
    assert (await records.changes("keys", after=0)).revision == 1


async def test_of_many_that_create_the_same_record_one_does(records: Records, url: str) -> None:
    others = [open_records(url) for _ in range(4)]
    try:
        puts = [one.put("keys", "one", b"%d" % number, expected=0) for number, one in enumerate(others)]
        revisions = await asyncio.gather(*puts)
        assert sorted(revisions, key=str) == [1, None, None, None]
        assert (await records.changes("keys", after=0)).records == (Record("one", b"%d" % revisions.index(1), 1),)
    finally:
        for one in others:
            await one.aclose()


async def test_changes_come_page_by_page(records: Records) -> None:
    for number in range(7):
        await records.put("keys", f"key-{number}", b"", expected=0)
    after, pages = 0, []
    while page := (await records.changes("keys", after=after, count=3)).records:
        pages.append([record.name for record in page])
        after = page[-1].revision
    assert pages == [["key-0", "key-1", "key-2"], ["key-3", "key-4", "key-5"], ["key-6"]]


async def test_records_that_are_removed_make_another_epoch_and_may_come_again(records: Records) -> None:
    await records.put("keys", "one", b"", expected=0)
    await records.put("keys", "two", b"", expected=0)
    await records.touch("keys", {"one": 5})
    before = await records.changes("keys", after=2)
    await records.remove("keys", ["one", "nobody"])
    after = await records.changes("keys", after=2)

    assert before.epoch != after.epoch
    assert await names(records) == ["two"]
    assert await records.touched("keys", ["one"]) == {}
    assert await records.put("keys", "one", b"again", expected=0) == 3


async def test_to_remove_what_is_not_there_is_no_new_epoch(records: Records) -> None:
    await records.put("keys", "one", b"", expected=0)
    before = await records.changes("keys", after=0)
    await records.remove("keys", ["nobody"])
    await records.remove("keys", [])
    assert await records.changes("keys", after=0) == before


async def test_collections_know_nothing_of_each_other(records: Records) -> None:
    await records.put("keys", "one", b"", expected=0)
    await records.touch("keys", {"one": 5})
    assert (await records.changes("other", after=0)).records == ()
    assert await records.touched("other", ["one"]) == {}
    assert await records.put("other", "one", b"", expected=0) == 1


async def test_the_latest_use_stays_and_is_no_change(records: Records) -> None:
    now = int(time.time())
    await records.touch("keys", {"one": now, "two": now - 60})
    await records.touch("keys", {"one": now - 60, "two": now})
    await records.touch("keys", {})

    assert await records.touched("keys", ["one", "two", "never"]) == {"one": now, "two": now}
    assert await records.touched("keys", []) == {}
    assert (await records.changes("keys", after=0)).revision == 0


async def test_any_text_can_be_a_name(records: Records) -> None:
    given = ["a:b", "{a}", "späße", "with space", "a" * 300]
    for name in given:
        await records.put("{some}:collection", name, name.encode(), expected=0)
    found = (await records.changes("{some}:collection", after=0)).records
    assert [(record.name, record.value) for record in found] == [(name, name.encode()) for name in given]


async def test_what_is_closed_says_so_and_may_be_closed_again(records: Records) -> None:
    await records.put("keys", "one", b"", expected=0)
    await records.aclose()
    await records.aclose()
    with pytest.raises(StoreError, match="closed"):
        await records.changes("keys", after=0)


async def test_a_redis_that_is_away_is_an_error_and_comes_back_in_another_epoch(redis_server: RedisServer) -> None:
    records = open_records(redis_server.url)
    await records.put("keys", "one", b"", expected=0)
    before = await records.changes("keys", after=0)
    redis_server.stop()
    with pytest.raises(StoreError, match="does not respond"):
        await records.changes("keys", after=1)
    await redis_server.restart()
    assert (await records.changes("keys", after=1)).epoch == ""
    assert await records.put("keys", "one", b"", expected=0) == 1
    assert (await records.changes("keys", after=0)).epoch not in ("", before.epoch)
    await records.aclose()


async def test_a_redis_that_starts_again_from_a_snapshot_is_in_another_epoch(redis_server: RedisServer) -> None:
    records = open_records(redis_server.url)
    await records.put("keys", "kept", b"", expected=0)
    await redis_server.snapshot()
    await records.put("keys", "lost", b"", expected=0)
    before = await records.changes("keys", after=0)
    assert (await records.changes("keys", after=2)).epoch == before.epoch

    redis_server.stop()
    await redis_server.restart()
    assert await records.put("keys", "kept", b"changed", expected=1) == 2  # the revision of the record that was lost
    after = await records.changes("keys", after=0)
    assert ([record.name for record in after.records], after.revision) == (["kept"], before.revision)
    assert after.epoch != before.epoch
    await records.aclose()
