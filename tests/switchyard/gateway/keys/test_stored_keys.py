"""Keys of the store as a gateway knows them: followed, kept while the store is away, and last uses written seldom."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from switchyard.gateway.keys import stored_keys
from switchyard.gateway.keys.last_uses import COLLECTION
from switchyard.gateway.keys.stored_key import KEPT, StoredKey, new_key, revoked, rotated
from switchyard.gateway.keys.stored_keys import KeyTakenError, StoredKeys, TooManyKeysError, UnknownKeyError
from switchyard.gateway.tenants.keys import digest
from switchyard.store.contract import StoreError
from switchyard.store.factory import open_records
from switchyard.store.records.contract import Changes, Records
from tests.switchyard.gateway.conftest import until

NOW = 1_800_000_000


class CountedRecords:
    """Records that count what is asked of them, and fail while ``away``."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.operations: list[str] = []
        self.away = False

    def _count(self, operation: str) -> None:
        self.operations.append(operation)
        if self.away:
            raise StoreError("the store does not respond: it is away")

    async def put(self, collection: str, name: str, value: bytes, *, expected: int) -> int | None:
        self._count("put")
        return await self.records.put(collection, name, value, expected=expected)

    async def changes(self, collection: str, *, after: int, count: int = 1000) -> Changes:
        self._count("changes")
        return await self.records.changes(collection, after=after, count=count)

    async def remove(self, collection: str, names: Sequence[str]) -> None:
        self._count("remove")
        await self.records.remove(collection, names)

    async def touch(self, collection: str, times: Mapping[str, int]) -> None:
        self._count(f"touch {len(times)}")
        await self.records.touch(collection, times)

    async def touched(self, collection: str, names: Sequence[str]) -> Mapping[str, int]:
        self._count("touched")
        return await self.records.touched(collection, names)

    async def aclose(self) -> None:
        await self.records.aclose()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
async def counted(url: str) -> AsyncIterator[CountedRecords]:
    opened = CountedRecords(open_records(url))
    yield opened
    await opened.aclose()


@pytest.fixture
async def keys(counted: CountedRecords) -> StoredKeys:
    return StoredKeys(counted, now=lambda: NOW)


def made(key_id: str = "one", ends: int | None = None) -> tuple[StoredKey, str]:
    return new_key(key_id, key_id, "acme", "", ["use"], now=NOW, ends=ends)


def finds(keys: StoredKeys, secret: str) -> bool:
    found = keys.find(digest(secret.encode()))
    return found is not None and found[0].revoked is None


async def test_a_key_is_known_where_it_was_made_at_once_and_elsewhere_soon(keys: StoredKeys, url: str) -> None:
    other = StoredKeys(open_records(url), now=lambda: NOW)
    following = asyncio.create_task(other.follow())
    try:
        key, secret = made()
        await keys.create(key)
        assert finds(keys, secret)
        await until(lambda: finds(other, secret), 20)
        await keys.change("one", lambda one: (revoked(one, now=NOW), None))
        assert not finds(keys, secret)
        await until(lambda: not finds(other, secret), 20)
    finally:
        following.cancel()
        await other.aclose()


async def test_a_look_up_of_any_key_asks_nothing_of_the_store(keys: StoredKeys, counted: CountedRecords) -> None:
    await keys.create(made()[0])
    before = len(counted.operations)
    for number in range(10_000):
        assert keys.find(digest(b"%d" % number)) is None
    assert len(counted.operations) == before


async def test_a_secret_that_was_replaced_is_known_with_its_end_until_it_is_dropped(keys: StoredKeys) -> None:
    key, old = made(ends=NOW + 1000)
    await keys.create(key)
    _, new = await keys.change("one", lambda one: rotated(one, now=NOW, overlap=60))
    hashes = digest(old.encode()), digest(new.encode())
    assert [found and found[1] for found in map(keys.find, hashes)] == [NOW + 60, NOW + 1000]
    await keys.change("one", lambda one: rotated(one, now=NOW, overlap=0))
    assert [keys.find(hashed) for hashed in hashes] == [None, None]


async def test_a_record_that_cannot_be_read_hides_no_key(
    keys: StoredKeys, counted: CountedRecords, caplog: pytest.LogCaptureFixture
) -> None:
    await keys.create(made("before")[0])
    await counted.put(COLLECTION, "before", b"{}", expected=1)
    await counted.put(COLLECTION, "odd", b"x", expected=0)
    key, secret = made("after")
    await keys.create(key)
    assert finds(keys, secret)
    assert [key.id for key in keys.listed()] == ["after"]
    assert [record.args[0] for record in caplog.records if record.args] == ["before", "odd"]  # type: ignore[index]


async def test_an_id_is_taken_once(keys: StoredKeys, url: str) -> None:
    other = StoredKeys(open_records(url), now=lambda: NOW)
    outcomes = await asyncio.gather(keys.create(made()[0]), other.create(made()[0]), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {KeyTakenError, type(None)}
    with pytest.raises(KeyTakenError):
        await keys.create(made()[0])
    await other.aclose()


async def test_what_others_change_meanwhile_is_not_lost(keys: StoredKeys, url: str) -> None:
    other = StoredKeys(open_records(url), now=lambda: NOW)
    await keys.create(made()[0])
    await other.refresh()
    rotations = [one.change("one", lambda key: rotated(key, now=NOW, overlap=60)) for one in (keys, other)]
    secrets = [secret for _, secret in await asyncio.gather(*rotations)]
    await keys.refresh()
    assert [finds(keys, secret) for secret in secrets] == [True, True]
    await other.aclose()


async def test_a_key_that_is_not_there_cannot_be_changed(keys: StoredKeys) -> None:
    with pytest.raises(UnknownKeyError):
        await keys.change("nobody", lambda key: (key, None))


async def test_there_is_a_most(keys: StoredKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_keys, "MOST", 2)
    await keys.create(made("one")[0])
    await keys.create(made("two")[0])
    with pytest.raises(TooManyKeysError):
        await keys.create(made("three")[0])


async def test_keys_that_ended_long_ago_make_room_and_leave_their_ids(counted: CountedRecords, url: str) -> None:
    now = [NOW]
    keys, other = StoredKeys(counted, now=lambda: now[0]), StoredKeys(open_records(url), now=lambda: now[0])
    await keys.create(made("one", ends=NOW + 10)[0])
    await other.refresh()
    now[0] = NOW + 10 + KEPT
    assert (keys.get("one"), keys.listed()) == (None, [])
    await keys.create(made("two")[0])
    await other.refresh()
    assert [len(keys), len(other)] == [1, 1]
    await other.create(made("one")[0])
    assert other.get("one") is not None
    await other.aclose()


async def test_what_is_known_stays_while_the_store_is_away_and_the_log_says_so_once(
    keys: StoredKeys, counted: CountedRecords, caplog: pytest.LogCaptureFixture
) -> None:
    key, secret = made()
    await keys.create(key)
    readings = list[bool]()
    keys.on_read = readings.append
    counted.away = True
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await keys.try_refresh()
    assert finds(keys, secret)
    assert len(caplog.records) == 1
    counted.away = False
    await keys.try_refresh()
    assert readings == [False, False, False, True]


async def test_uses_are_written_all_at_once_and_in_parts(counted: CountedRecords) -> None:
    keys = StoredKeys(counted, now=lambda: NOW)
    for number in range(2500):
        keys.uses.note(f"key-{number % 1250}")
    assert counted.operations == []
    await keys.uses.flush_when_due()
    assert counted.operations == []
    await keys.uses.flush()
    assert counted.operations == ["touch 1000", "touch 250"]
    assert await keys.uses.of(["key-0", "key-1249", "never"]) == {"key-0": NOW, "key-1249": NOW}
    await keys.uses.flush()
    assert len(counted.operations) == 3


async def test_a_store_that_is_away_costs_no_more_than_the_last_uses(counted: CountedRecords) -> None:
    keys = StoredKeys(counted, now=lambda: NOW)
    keys.uses.note("one")
    counted.away = True
    await keys.uses.flush()
    counted.away = False
    assert await keys.uses.of(["one"]) == {}


async def test_an_end_of_the_gateway_writes_the_uses(url: str) -> None:
    keys = StoredKeys(open_records(url), now=lambda: NOW)
    keys.uses.note("one")
    await keys.aclose()
    records = open_records(url)
    assert await records.touched(COLLECTION, ["one"]) == {"one": NOW}
    await records.aclose()
