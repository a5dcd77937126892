"""Pauses between attempts."""

import pytest

from switchyard.backoff import Backoff, ConsecutiveFailures


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (10_000, 3.0)])
def test_a_pause_is_between_half_and_all_of_one_that_doubles_up_to_a_bound(failures: int, longest: float) -> None:
    pauses = [Backoff(first=0.5, most=3.0).pause(failures) for _ in range(500)]
    assert longest / 2 <= min(pauses) < max(pauses) <= longest
    assert max(pauses) - min(pauses) > longest / 4  # those that failed together do not come back together


def test_failures_in_a_row_are_counted_until_a_success() -> None:
    failures = ConsecutiveFailures(backoff=Backoff(first=1.0, most=8.0))
    assert [4 * failures.add() >= 2 * 2**count for count in range(3)] == [True] * 3
    assert failures.count == 3
    failures.reset()
    assert failures.count == 0
    assert failures.add() <= 1.0
