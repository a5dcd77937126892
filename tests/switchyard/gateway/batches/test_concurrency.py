"""More lines run at a time for as long as that makes a batch quicker."""

from collections.abc import Callable

import pytest

from switchyard.gateway.batches.concurrency import AdaptiveConcurrency


def settled(seconds_of: Callable[[int], float], lines: int = 500) -> int:
    """The number after so many lines, each of which takes the seconds of the number that runs."""
    concurrency = AdaptiveConcurrency(lambda: 0.0)
    for _ in range(lines):
        concurrency.ended(seconds_of(concurrency.now))
    return concurrency.now


@pytest.mark.parametrize(("places", "most"), [(1, 4), (4, 4), (8, 8), (20, 32)])
def test_it_is_as_many_as_a_model_works_on_at_once(places: int, most: int) -> None:
    assert settled(lambda now: max(1.0, now / places)) == most


def test_a_limit_begins_again_with_one_and_more_are_tried_after_a_while() -> None:
    now, places = 0.0, 4
    concurrency = AdaptiveConcurrency(lambda: now)

    def run(lines: int) -> int:
        for _ in range(lines):
            concurrency.ended(max(1.0, concurrency.now / places))
        return concurrency.now

    assert run(100) == 4
    places = 16
    assert run(100) == 4
    now = 20.0
    assert run(200) == 16
    concurrency.reset()
    assert concurrency.now == 1
