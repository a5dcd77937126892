"""What all recordings do, held to by each implementation."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import (
    AFTER_SECONDS,
    FOLLOWED_SECONDS,
    INLINE_BYTES,
    SEGMENT_BYTES,
    Bounds,
    Page,
    Recordings,
    SupersededError,
)
from tests.switchyard.store.recordings.conftest import Clock

LEASE, TTL = 10.0, 3600.0
BOUNDS = Bounds()


async def claim(
    recordings: Recordings,
    recording: str,
    name: str = "key:one",
    *,
    scope: str = "tenant",
    ttl: float = TTL,
    aliases: Sequence[str] = (),
    report_lost: bool = False,
) -> Page | None:
    return await recordings.claim(
        scope, name, recording, b"asked", lease=LEASE, ttl=ttl, aliases=aliases, report_lost=report_lost
    )


async def finish(
    recordings: Recordings,
    recording: str,
    number: int = 0,
    segment: bytes = b"whole",
    *,
    complete: bool = True,
    ttl: float = TTL,
    bounds: Bounds = BOUNDS,
) -> None:
    await recordings.finish("tenant", recording, number, segment, complete=complete, ttl=ttl, bounds=bounds)


async def record(
    recordings: Recordings, recording: str, name: str, segment: bytes = b"whole", bounds: Bounds = BOUNDS
) -> None:
    assert await claim(recordings, recording, name) is None
    await finish(recordings, recording, segment=segment, bounds=bounds)


async def found(recordings: Recordings, name: str = "key:one", *, after: int = 0) -> Page:
    page = await recordings.find("tenant", name, after=after)
    assert page is not None
    return page


async def test_of_two_claims_the_first_begins_and_the_second_finds_it(recordings: Recordings, clock: Clock) -> None:
    assert await claim(recordings, "a") is None
    clock.now += 2
    page = await claim(recordings, "b")

    assert page is not None
    assert (page.recording.id, page.recording.state, page.recording.fingerprint) == ("a", "running", b"asked")
    assert [page.recording.age, page.recording.left] == pytest.approx([2, TTL - 2])
    assert (page.recording.segments, page.recording.size, page.first, list(page.segments)) == (0, 0, 0, [])


async def test_a_complete_recording_is_found_as_it_was_written(recordings: Recordings) -> None:
    await claim(recordings, "a")
    await recordings.append("tenant", "a", 0, b"first\r\n\0", lease=LEASE)
    await recordings.append("tenant", "a", 1, bytes(range(256)), lease=LEASE)
    await finish(recordings, "a", 2, b"last")

    for page in (await found(recordings), await claim(recordings, "b")):
        assert page is not None
        assert (page.recording.state, page.recording.segments) == ("complete", 3)
        assert list(page.segments) == [b"first\r\n\0", bytes(range(256)), b"last"]


async def test_segments_are_read_from_any_number_on(recordings: Recordings) -> None:
    await claim(recordings, "a")
    for number in range(3):
        await recordings.append("tenant", "a", number, b"%d" % number, lease=LEASE)

    for after in range(5):
        page, followed = await found(recordings, after=after), await recordings.follow("tenant", "a", after=after)
        assert followed == page
        assert (page.first, list(page.segments)) == (after, [b"0", b"1", b"2"][after:])


async def test_long_recordings_come_in_pages(recordings: Recordings) -> None:
    await claim(recordings, "a")
    written = [bytes([number]) * size for number, size in enumerate([SEGMENT_BYTES, 1, INLINE_BYTES - 100, 200, 9])]
    for number, segment in enumerate(written):
        await recordings.append("tenant", "a", number, segment, lease=LEASE)

    read: list[bytes] = []
    pages = 0
    while segments := (await found(recordings, after=len(read))).segments:
        read += segments
        pages += 1
    assert read == written
    assert pages == 3


async def test_a_segment_that_is_too_long_is_an_error(recordings: Recordings) -> None:
    await claim(recordings, "a")
    for write in (
        recordings.append("tenant", "a", 0, bytes(SEGMENT_BYTES + 100), lease=LEASE),
        finish(recordings, "a", 0, bytes(SEGMENT_BYTES + 100)),
    ):
        with pytest.raises(ValueError, match="too long"):
            await write


async def test_segments_are_written_in_their_order_and_once(recordings: Recordings) -> None:
    await claim(recordings, "a")
    await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    await recordings.append("tenant", "a", 0, b"again", lease=LEASE)
    with pytest.raises(ValueError, match="not the next one"):
        await recordings.append("tenant", "a", 2, b"third", lease=LEASE)
    with pytest.raises(ValueError, match="not the next one"):
        await finish(recordings, "a", 2, b"third")
    await recordings.append("tenant", "a", 1, b"", lease=LEASE)

    page = await found(recordings)
    assert (page.recording.segments, list(page.segments)) == (1, [b"first"])


async def test_each_operation_may_be_repeated(recordings: Recordings) -> None:
    for _ in range(2):
        assert await claim(recordings, "a") is None
    for _ in range(2):
        await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    for _ in range(2):
        await finish(recordings, "a", 1, b"last")
    assert list((await found(recordings)).segments) == [b"first", b"last"]
    assert (await recordings.held("tenant"))["key"].recordings == 1

    await claim(recordings, "b", "key:two")
    for _ in range(2):
        await finish(recordings, "b", complete=False)


async def test_an_id_belongs_to_one_name(recordings: Recordings) -> None:
    await claim(recordings, "a")
    with pytest.raises(ValueError, match="has the id"):
        await claim(recordings, "a", "key:two")


async def test_what_is_over_is_not_written_to(recordings: Recordings) -> None:
    await record(recordings, "a", "key:one")
    await claim(recordings, "b", "key:two")
    await finish(recordings, "b", complete=False)
    for recording in ("a", "b", "never claimed"):
        with pytest.raises(SupersededError):
            await recordings.append("tenant", recording, 1, b"more", lease=LEASE)
    with pytest.raises(SupersededError):
        await finish(recordings, "a", complete=False)
    with pytest.raises(SupersededError):
        await finish(recordings, "b")


async def test_without_a_lease_it_is_lost_and_the_next_claim_takes_it_over(
    recordings: Recordings, clock: Clock
) -> None:
    await claim(recordings, "a", aliases=["request:1"])
    await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    clock.now += LEASE / 2
    await recordings.append("tenant", "a", 1, b"", lease=LEASE)
    clock.now += LEASE - 1
    assert (await found(recordings)).recording.state == "running"
    clock.now += 1
    page = await found(recordings)
    assert (page.recording.state, list(page.segments)) == ("lost", [b"first"])

    assert await claim(recordings, "b") is None
    with pytest.raises(SupersededError):
        await recordings.append("tenant", "a", 1, b"second", lease=LEASE)
    with pytest.raises(SupersededError):
        await finish(recordings, "a", 1, b"second")
    assert await recordings.find("tenant", "request:1") is None
    page = await found(recordings)
    assert (page.recording.id, page.recording.state, list(page.segments)) == ("b", "running", [])


async def test_a_late_writer_goes_on_where_nobody_else_has_begun(recordings: Recordings, clock: Clock) -> None:
    await claim(recordings, "a")
    clock.now += LEASE
    reported = await claim(recordings, "b", report_lost=True)
    assert reported is not None
    assert reported.recording.state == "lost"
    await recordings.append("tenant", "a", 0, b"first", lease=LEASE)

    joined = await claim(recordings, "c", report_lost=True)
    assert joined is not None
    assert joined.recording.state == "running"
    clock.now += LEASE
    for _ in range(2):
        again = await claim(recordings, "d", report_lost=True)
        assert again is not None
        assert again.recording.state == "lost"
    await finish(recordings, "a", 1, b"last")
    assert (await found(recordings)).recording.state == "complete"


async def test_a_lost_one_is_reported_once_if_asked_for(recordings: Recordings, clock: Clock) -> None:
    await claim(recordings, "a")
    await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    clock.now += LEASE
    for _ in range(2):  # the same claim, repeated
        page = await claim(recordings, "b", report_lost=True)
        assert page is not None
        assert (page.recording.id, page.recording.state, list(page.segments)) == ("a", "lost", [b"first"])

    assert await claim(recordings, "c", report_lost=True) is None
    joined = await claim(recordings, "d", report_lost=True)
    assert joined is not None
    assert joined.recording.id == "c"


async def test_a_failed_one_makes_room_and_can_be_followed_for_a_while(recordings: Recordings, clock: Clock) -> None:
    await claim(recordings, "a", aliases=["request:1"])
    await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    await finish(recordings, "a", 1, b"last", complete=False)

    assert await recordings.find("tenant", "key:one") is None
    assert await recordings.find("tenant", "request:1") is None
    page = await recordings.follow("tenant", "a", after=1)
    assert page is not None
    assert (page.recording.state, list(page.segments)) == ("failed", [b"last"])
    assert await claim(recordings, "b") is None
    assert await recordings.held("tenant") == {}
    clock.now += AFTER_SECONDS
    assert await recordings.follow("tenant", "a", after=0) is None


async def test_a_writer_is_told_for_a_while_that_somebody_follows(recordings: Recordings, clock: Clock) -> None:
    await claim(recordings, "a")

    async def is_followed() -> bool:
        return await recordings.append("tenant", "a", 0, b"", lease=LEASE)

    await found(recordings)
    assert not await is_followed()
    await recordings.follow("tenant", "a", after=0)
    assert await is_followed()
    clock.now += FOLLOWED_SECONDS * 0.6
    await recordings.follow("tenant", "a", after=0)
    clock.now += FOLLOWED_SECONDS * 0.9
    assert await is_followed()
    clock.now += FOLLOWED_SECONDS * 0.1
    assert not await is_followed()


async def test_all_aliases_lead_to_it_until_another_takes_them(recordings: Recordings) -> None:
    await claim(recordings, "a", aliases=["request:1", "request:2"])
    await claim(recordings, "b", "key:two", aliases=["request:2"])
    assert [(await found(recordings, name)).recording.id for name in ("key:one", "request:1", "request:2")] == list(
        "aab"
    )
    assert await recordings.forget("tenant", "request:1")
    assert await recordings.find("tenant", "key:one") is None
    assert (await found(recordings, "request:2")).recording.id == "b"


async def test_a_forgotten_one_is_superseded(recordings: Recordings) -> None:
    await claim(recordings, "a")
    assert await recordings.forget("tenant", "key:one")
    assert not await recordings.forget("tenant", "key:one")
    with pytest.raises(SupersededError):
        await recordings.append("tenant", "a", 0, b"first", lease=LEASE)


async def test_all_is_forgotten_when_its_time_is_over(recordings: Recordings, clock: Clock) -> None:
    await claim(recordings, "a", ttl=5)
    await claim(recordings, "b", "key:two", ttl=5)
    await finish(recordings, "b", ttl=8)
    clock.now += 5
    assert await recordings.find("tenant", "key:one") is None
    assert await recordings.follow("tenant", "a", after=0) is None
    with pytest.raises(SupersededError):
        await recordings.append("tenant", "a", 0, b"first", lease=LEASE)
    assert await claim(recordings, "c") is None

    assert (await found(recordings, "key:two")).recording.left == pytest.approx(3)
    clock.now += 3
    assert await recordings.find("tenant", "key:two") is None
    assert await recordings.held("tenant") == {}
    assert not await recordings.forget("tenant", "key:two")


async def test_of_complete_ones_those_that_end_first_make_room(recordings: Recordings, clock: Clock) -> None:
    bounds = Bounds(recordings=3, size=10_000)
    await claim(recordings, "running", "key:running")
    for number in range(5):
        clock.now += 1
        await record(recordings, str(number), f"key:{number}", bytes(1000), bounds)
    there = [await recordings.find("tenant", f"key:{number}") is not None for number in range(5)]
    assert there == [False, False, True, True, True]

    clock.now += 1
    await record(recordings, "long", "key:long", bytes(8500), bounds)
    assert await recordings.find("tenant", "key:3") is None
    held = (await recordings.held("tenant"))["key"]
    assert held.recordings == 2
    assert (await found(recordings, "key:running")).recording.state == "running"


async def test_kinds_and_scopes_make_no_room_for_each_other(recordings: Recordings) -> None:
    bounds = Bounds(recordings=1)
    await record(recordings, "a", "key:one")
    await record(recordings, "b", "cache:one", bounds=bounds)
    await recordings.claim("other", "cache:one", "c", b"", lease=LEASE, ttl=TTL)
    await recordings.finish("other", "c", 0, b"other", complete=True, ttl=TTL, bounds=bounds)
    await record(recordings, "d", "cache:two", bounds=bounds)

    assert (await found(recordings, "key:one")).recording.id == "a"
    assert await recordings.find("tenant", "cache:one") is None
    assert await recordings.find("other", "cache:one") is not None


async def test_one_without_room_is_not_kept_but_can_be_followed(recordings: Recordings, clock: Clock) -> None:
    bounds = Bounds(size=100)
    await record(recordings, "a", "key:one", bounds=bounds)
    await record(recordings, "b", "key:two", bytes(101), bounds=bounds)

    assert await recordings.find("tenant", "key:two") is None
    assert await recordings.find("tenant", "key:one") is not None
    page = await recordings.follow("tenant", "b", after=0)
    assert page is not None
    assert (page.recording.state, list(page.segments)) == ("complete", [bytes(101)])
    assert (await recordings.held("tenant"))["key"].recordings == 1
    clock.now += AFTER_SECONDS
    assert await recordings.follow("tenant", "b", after=0) is None


async def test_what_is_over_makes_room_first(recordings: Recordings, clock: Clock) -> None:
    bounds = Bounds(recordings=3)
    for number, ttl in enumerate([TTL, 5.0, 6.0]):
        await claim(recordings, str(number), f"key:{number}")
        await finish(recordings, str(number), ttl=ttl, bounds=bounds)
    clock.now += 10
    for number in (3, 4):
        await record(recordings, str(number), f"key:{number}", bounds=bounds)
    assert [await recordings.find("tenant", f"key:{number}") is not None for number in (0, 3, 4)] == [True] * 3


async def test_an_empty_one_is_kept_and_makes_room(recordings: Recordings, clock: Clock) -> None:
    for name in ("key:one", "key:two"):
        clock.now += 1
        await record(recordings, name, name, b"", Bounds(recordings=1))
    assert await recordings.find("tenant", "key:one") is None
    assert list((await found(recordings, "key:two")).segments) == []
    assert await recordings.forget("tenant", "key:two")


async def test_clear_forgets_complete_ones_of_a_kind(recordings: Recordings) -> None:
    await asyncio.gather(*(record(recordings, f"{number}", f"cache:{number}") for number in range(1100)))
    await record(recordings, "kept", "key:one")
    await claim(recordings, "running", "cache:running")
    assert {kind: held.recordings for kind, held in (await recordings.held("tenant")).items()} == {
        "cache": 1100,
        "key": 1,
    }

    assert await recordings.clear("other", "cache") == 0
    assert await recordings.clear("tenant", "cache") == 1100
    assert set(await recordings.held("tenant")) == {"key"}
    assert await recordings.find("tenant", "cache:7") is None
    assert await recordings.find("tenant", "cache:running") is not None
    assert await recordings.find("tenant", "key:one") is not None
    await record(recordings, "again", "cache:7")


async def test_nobody_finds_what_another_scope_has(recordings: Recordings) -> None:
    await record(recordings, "a", "key:one")
    for scope in ("other", "", "tenant:key", "tenant}"):
        assert await recordings.find(scope, "key:one") is None
        assert await recordings.follow(scope, "a", after=0) is None
        assert not await recordings.forget(scope, "key:one")
        assert await recordings.held(scope) == {}
        with pytest.raises(SupersededError):
            await recordings.append(scope, "a", 1, b"more", lease=LEASE)
        assert await claim(recordings, "a", scope=scope) is None


@pytest.mark.parametrize("text", ["", "a b", "é\n", "%{}", "a:b:c", "'\";--"])
async def test_scopes_names_and_ids_are_any_text(recordings: Recordings, text: str) -> None:
    assert await recordings.claim(text, text, text, b"\0\xff", lease=LEASE, ttl=TTL, aliases=[text + ":"]) is None
    await recordings.finish(text, text, 0, b"whole", complete=True, ttl=TTL, bounds=BOUNDS)
    for name in (text, text + ":"):
        page = await recordings.find(text, name)
        assert page is not None
        assert (page.recording.id, page.recording.fingerprint, list(page.segments)) == (text, b"\0\xff", [b"whole"])
    assert await recordings.clear(text, text.partition(":")[0]) == 1


async def test_another_process_sees_all_at_once(open_one: Callable[[], Recordings]) -> None:
    ours, theirs = open_one(), open_one()
    assert await claim(ours, "a") is None
    assert (await found(theirs)).recording.id == "a"
    await theirs.follow("tenant", "a", after=0)
    assert await ours.append("tenant", "a", 0, b"first", lease=LEASE)
    page = await theirs.follow("tenant", "a", after=0)
    assert page is not None
    assert list(page.segments) == [b"first"]
    await ours.aclose()
    await theirs.aclose()


async def test_of_many_claims_at_once_one_begins(open_one: Callable[[], Recordings]) -> None:
    processes = [open_one() for _ in range(3)]
    results = await asyncio.gather(*(claim(processes[n % 3], str(n)) for n in range(60)))
    assert results.count(None) == 1
    assert {page.recording.id for page in results if page} == {str(results.index(None))}
    for process in processes:
        await process.aclose()


async def test_what_is_closed_is_an_error(recordings: Recordings) -> None:
    await claim(recordings, "a")
    await recordings.aclose()
    await recordings.aclose()
    with pytest.raises(StoreError, match="closed"):
        await recordings.find("tenant", "key:one")
