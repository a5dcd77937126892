"""What a request's ``cache-control`` says, and what of it counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.cache.control import Control, read_control

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
KNOWN = {"no-store", "no-cache", "only-if-cached", "max-age"}
UNKNOWN = TOKEN.filter(lambda name: name not in KNOWN)
ARGUMENT = st.one_of(st.just(""), TOKEN.map("={}".format), TOKEN.map('="{}"'.format))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"no-store", Control(no_store=True)),
        (b"No-Cache", Control(no_cache=True)),
        (b"only-if-cached, max-age=60", Control(only_if_cached=True, max_age=60)),
        (b'max-age="60"', Control(max_age=60)),
        (b"max-age=60, max-age=5", Control(max_age=60)),
        (b"max-age", Control(max_age=0)),
        (b"max-age=-1", Control(max_age=0)),
        (b"max-age=soon", Control(max_age=0)),
        (b"max-age=99999999999999999999", Control(max_age=2**31)),
        (b'private="no-store", foo="a, no-cache"', Control()),
        (b"max-stale=10, min-fresh=5", Control()),
        (b",, ,", Control()),
        (b"", Control()),
    ],
)
def test_directives_are_read_as_rfc_9111_says(header: bytes, expected: Control) -> None:
    assert read_control(header) == expected


@given(st.sets(st.sampled_from(sorted(KNOWN - {"max-age"}))), st.lists(st.tuples(UNKNOWN, ARGUMENT)), st.randoms())
def test_what_is_known_is_found_among_whatever_else_there_is(names, others, random) -> None:  # type: ignore[no-untyped-def]
    directives = [*names, *(name + argument for name, argument in others)]
    random.shuffle(directives)
    read = read_control(" ,".join(directives).encode())
    assert (read.no_store, read.no_cache, read.only_if_cached) == tuple(
        name in names for name in ("no-store", "no-cache", "only-if-cached")
    )
    assert read.max_age is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read(header: bytes) -> None:
    assert read_control(header, header) is not None


@given(st.integers(0, 2**40), st.floats(0, 2**32))
def test_an_age_is_taken_up_to_the_most_that_is_asked_for(most: int, age: float) -> None:
    control = read_control(b"max-age=%d" % most)
    assert control.takes(age) is (age <= min(most, 2**31))


def test_what_may_be_used_and_what_is_asked_for() -> None:
    assert Control().takes(1e9)
    assert not Control(no_cache=True).takes(0)
    assert not Control(no_store=True).takes(0)
    assert read_control(None, b" Force ").force
    assert not read_control(b"no-store", b"please").force
