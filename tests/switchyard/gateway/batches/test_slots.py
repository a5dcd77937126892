"""Lines run in the places that clients leave."""

from switchyard.gateway.batches.slots import LINES, PLACES, LineSlots, Load


def taken(slots: LineSlots, server: str, places: int | None) -> int:
    """How many lines more may run."""
    count = 0
    while slots.take(server, places):
        count += 1
    return count


async def test_one_place_stays_free_for_the_next_client() -> None:
    slots = LineSlots(lambda server: Load(0, 0))
    assert taken(slots, "a", 10) == 9
    slots.give_back("a")
    assert taken(slots, "a", 10) == 1
    assert taken(slots, "b", None) == PLACES - 1
    assert taken(slots, "c", 1) == 1  # of a model with one place, that one, while no client has it


async def test_what_clients_had_of_late_stays_theirs() -> None:
    live = 6
    slots = LineSlots(lambda server: Load(live, 0))
    assert taken(slots, "a", 10) == 3
    live = 0  # they will be back
    assert taken(slots, "a", 10) == 0
    live = 10
    slots.give_back("a")
    assert taken(slots, "a", 10) == 0


async def test_while_a_client_waits_no_line_begins() -> None:
    waiting = 1
    slots = LineSlots(lambda server: Load(1, waiting))
    assert taken(slots, "a", 100) == 0
    waiting = 0
    assert taken(slots, "a", 100) == LINES  # of the whole gateway
    assert taken(slots, "b", 100) == 0


async def test_where_models_share_a_machine_one_line_runs_beside_clients() -> None:
    live = 1
    slots = LineSlots(lambda server: Load(live, 0), share=True)
    assert taken(slots, "a", 10) == 1
    live = 0
    assert taken(slots, "a", 10) == 8
