"""How many responses go on without a client."""

from typing import cast

from switchyard.gateway.recordings.generation import Generation, Unattended


def test_no_more_go_on_without_a_client_than_may() -> None:
    first, second = (cast(Generation, object()) for _ in range(2))
    unattended = Unattended(1)

    assert [unattended.enter(first), unattended.enter(second)] == [True, False]
    unattended.leave(first)
    assert unattended.enter(second)
