"""Who does not fit waits until idle ones have made room."""

import asyncio

import pytest

from switchyard.local.memory.room import Lease, NoRoomError, Room


class Occupant:
    """A model whose process ends when it makes room, unless it hangs."""

    def __init__(self, room: Room, last_used: float = 0.0) -> None:
        self.pinned = self.busy = self.hangs = False
        self.last_used = last_used
        self.asked = 0
        self.waited: list[str] = []
        self.lease: Lease | None = None
        self._room = room

    async def take(self, name: str, needed: int, patience: float = 5.0) -> None:
        self.lease = await self._room.take(name, needed, self, self.waited.append, patience=patience)

    def make_room(self) -> None:
        self.asked += 1
        assert self.lease is not None
        self.lease.ending = True
        if not self.hangs:
            asyncio.get_running_loop().call_soon(self._room.give_back, self.lease)


async def test_what_fits_takes_its_memory_at_once() -> None:
    room = Room(100)
    first, second = Occupant(room), Occupant(room)
    await first.take("first", 60)
    await second.take("second", 40)
    assert first.asked == 0


async def test_the_least_recently_used_makes_room_and_no_other() -> None:
    room = Room(100)
    old, new, next_one = Occupant(room, 1.0), Occupant(room, 2.0), Occupant(room)
    await new.take("new", 40)
    await old.take("old", 40)

    await next_one.take("next", 50)

    assert (old.asked, new.asked) == (1, 0)
    assert next_one.waited == ["waits for 0 MiB of memory, which old is giving back"]


async def test_one_that_is_in_use_is_waited_for() -> None:
    room = Room(100)
    first, second = Occupant(room), Occupant(room)
    await first.take("first", 80)
    first.busy = True
    taking = asyncio.ensure_future(second.take("second", 80))
    while not second.waited:
        await asyncio.sleep(0)
    assert first.asked == 0
    first.busy = False
    await taking
    assert first.asked == 1


async def test_who_waited_long_enough_is_told_for_what() -> None:
    room = Room(100)
    first, second = Occupant(room), Occupant(room)
    await first.take("first", 80)
    first.busy = True
    with pytest.raises(NoRoomError, match=r"waits for .* of memory: .* and first .* have requests") as caught:
        await second.take("second", 80, patience=0.0)
    assert not caught.value.final


async def test_a_pinned_one_never_makes_room_and_is_in_the_sum_of_who_cannot_fit() -> None:
    room = Room(100, lambda: {"preload": 10})
    first, second = Occupant(room), Occupant(room)
    await first.take("first", 50)
    first.pinned = True
    with pytest.raises(NoRoomError, match=r"of which preload \(0 MiB\), first \(0 MiB\) always hold") as caught:
        await second.take("second", 50)
    assert caught.value.final
    assert first.asked == 0


async def test_one_that_is_ending_is_not_asked_again_and_nobody_sleeps_in_its_place() -> None:
    room = Room(100)
    first, other, second = Occupant(room, 1.0), Occupant(room, 2.0), Occupant(room)
    first.hangs = True
    await first.take("first", 60)
    await other.take("other", 40)
    taking = asyncio.ensure_future(second.take("second", 60))
    while "which first (0 MiB) is giving back" not in "".join(second.waited):
        await asyncio.sleep(0.01)
    assert (first.asked, other.asked) == (1, 0)
    assert first.lease is not None
    room.give_back(first.lease)
    await taking


async def test_a_process_of_which_nobody_knows_what_it_needs_is_measured() -> None:
    room = Room(100, measure=lambda pid: 70 if pid == 7 else 0)
    vision, chat = Occupant(room), Occupant(room)
    await vision.take("vision", 0)
    assert vision.lease is not None
    vision.lease.pids = (7, 8)
    vision.busy = True
    with pytest.raises(NoRoomError):
        await chat.take("chat", 50, patience=0.0)
    vision.busy = False
    await chat.take("chat", 50)
    assert vision.asked == 1
