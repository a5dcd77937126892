"""The histogram that takes no locks, beside the library's."""

import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from switchyard.telemetry.histogram import OneThreadHistogram

BOUNDS = (0.001, 0.25, 1.0, 600.0)


def exposed(kind: type[Histogram], bounds: tuple[float, ...], values: list[float]) -> str:
    registry = CollectorRegistry()
    labeled = kind("seconds", "Seconds.", ["model"], buckets=bounds, registry=registry)
    plain = kind("plain_seconds", "Seconds.", buckets=bounds, registry=registry)
    for number, value in enumerate(values):
        labeled.labels("even" if number % 2 == 0 else "odd").observe(value)
        plain.observe(value)
    return re.sub(r"(?m)^(\w+_created.*) \S+$", r"\1", generate_latest(registry).decode())


@given(st.lists(st.one_of(st.floats(-2, 700), st.sampled_from([*BOUNDS, 0.0, float("inf")]))))
def test_what_it_exposes_is_what_the_library_would(values: list[float]) -> None:
    assert exposed(OneThreadHistogram, BOUNDS, values) == exposed(Histogram, BOUNDS, values)


def test_a_histogram_with_values_below_zero_has_no_sum() -> None:
    text = exposed(OneThreadHistogram, (-1.0, 0.0, 1.0), [-0.5, 0.5])
    assert text == exposed(Histogram, (-1.0, 0.0, 1.0), [-0.5, 0.5])
    assert 'seconds_bucket{le="0.0",model="even"} 1.0' in text
    assert "_sum" not in text
