import pytest

from benchmarks.tenancy.overshoot import most_in_a_window, rate


@pytest.mark.parametrize(
    ("served", "most"),
    [
        ([(0.0, 1), (59.9, 1), (60.0, 1)], 2),
        ([(60.0, 5), (0.0, 3), (30.0, 4)], 9),
        ([(0.0, 3), (30.0, 4), (59.0, 1)], 8),
    ],
)
def test_the_fullest_sixty_seconds_count_wherever_they_begin(served: list[tuple[float, int]], most: int) -> None:
    assert most_in_a_window(served) == most


def test_a_limit_that_is_taken_at_once_in_each_window_is_used_to_sixty_of_sixty_one_parts() -> None:
    bursts = [(100.7, 600), (161.0, 600), (222.0, 600)]
    assert rate(bursts) * 60 == pytest.approx(600 * 60 / 61)
