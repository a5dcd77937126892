"""The queue of batches in both stores: each is one runner's, until that one says nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from switchyard.gateway.batches import stored_batches
from switchyard.gateway.batches.batch import Batch, Fault, Owner, decode, encode
from switchyard.gateway.batches.stored_batches import (
    ACTIVE_BATCHES,
    KEPT_SECONDS,
    LostBatchError,
    StoredBatches,
    TooManyBatchesError,
)
from switchyard.store.factory import open_records
from switchyard.store.records.contract import Records


def batch(name: str, tenant: str = "acme", created: int = 1000) -> Batch:
    owner = Owner(tenant=tenant, team="", key_id=f"{tenant}-key", roles=("use",))
    return Batch(
        id=name, owner=owner, endpoint="/v1/embeddings", input="file-a", window="24h", created=created, ends=2000
    )


@pytest.fixture
async def records(url: str) -> AsyncIterator[Records]:
    opened = open_records(url)
    yield opened
    await opened.aclose()


def waiting(batches: StoredBatches) -> list[str]:
    return [one.id for one in batches.waiting()]


async def test_of_two_gateways_one_gets_a_batch(records: Records) -> None:
    ours, theirs = StoredBatches(records), StoredBatches(records)
    await ours.create(batch("a"))
    await theirs.refresh()
    (seen,), (same,) = ours.waiting(), theirs.waiting()
    claims = [await ours.claim(seen, "ours"), await theirs.claim(same, "theirs")]
    assert [claim is not None for claim in claims] == [True, False]
    await theirs.refresh()
    assert (waiting(ours), waiting(theirs)) == ([], [])


async def test_a_batch_whose_gateway_says_nothing_is_taken_and_the_first_one_learns_of_it(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_batches, "LEASE_SECONDS", 0.2)
    ours, theirs = StoredBatches(records), StoredBatches(records)
    await ours.create(batch("a"))
    (seen,) = ours.waiting()
    assert await ours.claim(seen, "ours") is not None
    for _ in range(5):  # it is held for as long as it goes on
        await asyncio.sleep(0.1)
        await ours.hold("a", "ours", lambda one: replace(one, done=one.done + 1))
        await theirs.refresh()
        assert waiting(theirs) == []
    async with asyncio.timeout(5):
        while not waiting(theirs):
            await asyncio.sleep(0.01)
            await theirs.refresh()
    (lost,) = theirs.waiting()
    assert lost.done == 5
    assert await theirs.claim(lost, "theirs") is not None
    with pytest.raises(LostBatchError):
        await ours.hold("a", "ours", lambda one: one)


async def test_who_cancels_and_who_works_change_the_same_batch(records: Records) -> None:
    ours, theirs = StoredBatches(records), StoredBatches(records)
    await ours.create(batch("a"))
    (seen,) = ours.waiting()
    await ours.claim(seen, "ours")
    await asyncio.gather(
        *(ours.hold("a", "ours", lambda one: replace(one, done=one.done + 1)) for _ in range(3)),
        theirs.change("acme", "a", lambda one: one.into("cancelling", 1500)),
    )
    await ours.refresh()
    found = ours.get("acme", "a")
    assert found is not None
    assert (found.status, found.done, found.runner) == ("cancelling", 3, "ours")


async def test_tenants_take_turns_and_each_is_bounded(records: Records) -> None:
    batches = StoredBatches(records)
    for number in range(ACTIVE_BATCHES):
        await batches.create(batch(f"a{number:03}", created=number))
    with pytest.raises(TooManyBatchesError):
        await batches.create(batch("more"))
    await batches.create(batch("b", "globex", created=10_000))
    for name in ("a000", "b", "a001"):
        first = next(batches.waiting())
        assert first.id == name
        assert await batches.claim(first, "runner") is not None
    assert batches.get("globex", "a000") is None


async def test_what_ended_long_ago_is_forgotten(records: Records) -> None:
    batches = StoredBatches(records, now=lambda: 5000 + KEPT_SECONDS)
    for name, ended in (("old", 4999), ("new", 5001)):
        await batches.create(batch(name))
        await batches.change("acme", name, lambda one, at=ended: one.into("completed", at))  # type: ignore[misc]
    await batches.create(batch("active"))
    assert await batches.forget_ended() == ["old"]
    assert {one.id for one in batches.listed("acme")} == {"new", "active"}


def test_a_batch_is_read_as_it_was_written() -> None:
    one = replace(batch("a"), faults=(Fault(code="c", message="m", line=3),), metadata={"a": "b"}, runner="r")
    one = one.into("failed", 3000.7)
    assert decode(encode(one)) == one
    with pytest.raises(ValueError, match="not a batch"):
        decode(b'{"id": "a"}')
