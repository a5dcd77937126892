"""Whose request bodies are accepted into the memory that a server has for all of them."""

import pytest

from switchyard.http.body_memory import BodyMemory

MIB = 1024 * 1024


def status(memory: BodyMemory, owner: str | None, size: int) -> int:
    """Count a body; return the status of its error, 200 without one."""
    memory.take(owner, size)
    excess = memory.excess(owner, size)
    if excess is None:
        return 200
    memory.give_back(owner, size)
    return excess.status


def test_an_owner_of_several_bodies_leaves_as_much_as_it_holds() -> None:
    memory = BodyMemory(40 * MIB)
    assert [status(memory, "a", 10 * MIB) for _ in range(3)] == [200, 200, 429]
    assert [status(memory, "b", 5 * MIB) for _ in range(3)] == [200, 200, 429]
    assert status(memory, "c", 5 * MIB) == 200


def test_an_only_body_may_be_as_long_as_any_where_some_memory_remains_for_others() -> None:
    memory = BodyMemory(40 * MIB)
    assert status(memory, "a", 32 * MIB) == 200
    assert status(memory, "a", 100_000) == 429
    assert status(memory, "b", 5 * MIB) == 503
    assert [status(memory, "b", 2 * MIB) for _ in range(3)] == [200, 200, 429]
    assert status(memory, "c", 2 * MIB) == 200


def test_small_bodies_fit_beside_a_long_one_and_in_a_full_server_but_are_not_endless() -> None:
    memory = BodyMemory(40 * MIB)
    assert status(memory, "a", 30 * MIB) == 200
    assert {status(memory, "a", 60_000) for _ in range(30)} == {200}
    assert {status(memory, "a", 60_000) for _ in range(30)} == {200, 429}
    memory.take(None, memory.total - memory.used + 1)
    assert status(memory, "a", 1000) == 503
    assert status(memory, "b", 1000) == 200


@pytest.mark.parametrize("size", [60_000, 13_900_000])
def test_whatever_one_owner_sends_another_ones_bodies_are_accepted(size: int) -> None:
    memory = BodyMemory(40 * MIB)
    for _ in range(1500):
        status(memory, "a", size)
    assert {status(memory, "b", 300_000) for _ in range(13)} == {200}


def test_what_nobody_owns_may_take_all() -> None:
    memory = BodyMemory(40 * MIB)
    assert [status(memory, None, 10 * MIB) for _ in range(5)] == [200, 200, 200, 200, 503]
    assert {status(memory, None, 60_000) for _ in range(1500)} == {200, 503}
    assert memory.used <= 48 * MIB + 60_000
