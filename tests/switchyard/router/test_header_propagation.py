"""Header patterns: RE2, as KServe's router has it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.headers import Header
from switchyard.router.header_propagation import (
    canonical_name,
    compile_pattern,
    compile_patterns,
    for_response_body,
    json_of,
)


def names(patterns: str, *given_names: bytes) -> list[bytes]:
    propagation, problems = compile_patterns(patterns)
    assert problems == []
    return [name for name, _ in propagation.chosen([(name, b"v") for name in given_names])]


def test_patterns_are_searched_for_in_canonical_names() -> None:
    asked = (b"x-request-id", b"my-x-request-id-2", b"authorization", b"content-type")
    assert names("Request-Id,^Auth,^Content-Type$", *asked) == list(asked)
    assert names("request-id,^auth", b"my-x-request-id-2", b"authorization") == [b"content-type"]


def test_the_requests_id_is_passed_on_whatever_is_listed() -> None:
    assert names("^Auth", b"x-request-id", b"x-other") == [b"x-request-id", b"content-type"]


def test_without_patterns_only_the_trace_context_is_passed_on_and_the_type_is_json() -> None:
    propagation, _ = compile_patterns("")
    given_headers = [(b"traceparent", b"1"), (b"tracestate", b"2"), (b"x", b"3"), (b"content-type", b"text/x")]
    assert propagation.chosen(given_headers) == [*given_headers[:2], (b"content-type", b"application/json")]


def test_what_a_body_cannot_be_read_without_goes_with_it_whatever_is_listed() -> None:
    length, zipped = (b"inference-header-content-length", b"3"), (b"content-encoding", b"gzip")
    propagation, _ = compile_patterns("")
    assert propagation.chosen([length]) == [length, (b"content-type", b"application/octet-stream")]
    assert propagation.chosen([zipped]) == [zipped, (b"content-type", b"application/json")]


@pytest.mark.parametrize("sent", [[], [(b"inference-header-content-length", b"3")]])
@pytest.mark.parametrize("received", [[], [(b"inference-header-content-length", b"5")]])
def test_a_response_that_becomes_the_body_brings_its_own_length_of_json(
    sent: list[Header], received: list[Header]
) -> None:
    propagation, _ = compile_patterns("")
    headers = for_response_body(propagation.chosen(sent), [(b"x-other", b"1"), *received])
    kind = b"application/octet-stream" if received else b"application/json"
    assert sorted(headers) == sorted([(b"content-type", kind), *received])


@pytest.mark.parametrize(
    ("length", "json"),
    [(b"2", b"{}"), (b"9", b"{}tensors"), (b"99", b"{}tensors"), (b"", b"{}tensors"), (b"-1", b"{}tensors")],
)
def test_conditions_see_the_json_before_the_tensors(length: bytes, json: bytes) -> None:
    assert json_of(b"{}tensors", [(b"inference-header-content-length", length)]) == json
    assert json_of(b"{}tensors", [(b"inference-header-content-length", b"9" * 5000)]) == b"{}tensors"


def test_what_belongs_to_one_connection_is_never_passed_on() -> None:
    asked = (b"host", b"connection", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"te")
    assert names(".*", *asked, b"x", b"content-type") == [b"x", b"content-type"]


def test_a_header_that_comes_twice_is_passed_on_twice() -> None:
    propagation, _ = compile_patterns("^X$")
    assert propagation.chosen([(b"x", b"1"), (b"x", b"2")])[:2] == [(b"x", b"1"), (b"x", b"2")]


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("(?i)x-trace", "X-Trace-Id", "Trace"),
        ("^(?i)x-trace", "X-Trace-Id", "Trace"),
        ("(?i:x)-Trace", "X-Trace", "X-trace"),
        ("^X(?i)-b", "X-B", "x-b"),
        (r"^X-Id\z", "X-Id", "X-Id-2"),
        ("^[[:upper:]]-[[:alpha:]]+$", "X-Id", "x-id"),
        ("[^[:alpha:]-]", "X-1", "X-Id"),
        (r"\QX.Y\E$", "X.Y", "X-Y"),
        (r"(?P<n>X)-Id|(?<m>Y)", "Y", "Z"),
        (r"X-\d{1,3}$", "X-12", "X-a"),
        ("a??b", "ab", "c"),
        ("(?s)a.b", "a\nb", "ab"),
        (r"^\pL+$", "É", "X-1"),
        (r"X(?U)-\x{49}d", "X-Id", "X-id"),
    ],
)
def test_patterns_mean_what_they_mean_to_re2(pattern: str, found: str, missed: str) -> None:
    assert compile_pattern(pattern).search(found)
    assert not compile_pattern(pattern).search(missed)


@pytest.mark.parametrize(
    "pattern",
    [
        "*Trace-Id*",
        "(",
        "[a",
        "a**",
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        r"(a)\1",
        "(?>a)",
        "a++",
        r"\pX",
        r"a\Z",
        "\udcff",
        "[[:nope:]]",
    ],
)
def test_what_is_not_re2_is_left_out_with_a_sentence(pattern: str) -> None:
    propagation, problems = compile_patterns(f"{pattern},^X-Id$")
    assert len(problems) == 1
    assert f"the header pattern {pattern!r} " in problems[0]
    assert propagation.chosen([(b"x-id", b"1")])[0] == (b"x-id", b"1")


def test_names_are_canonical_as_go_spells_them() -> None:
    assert [canonical_name(name) for name in (b"x-request-id", b"te", b"x--y", b"etag")] == [
        "X-Request-Id",
        "Te",
        "X--Y",
        "Etag",
    ]


@given(st.text(alphabet=r"abX-.*+?()[]{}|^$\\:,0123PQEzdw<>=!iU#", max_size=20))
def test_any_text_is_compiled_or_explained(text: str) -> None:
    propagation, problems = compile_patterns(text)
    assert all(isinstance(problem, str) for problem in problems)
    propagation.chosen([(b"x-abx", b"1")])


@given(st.text(alphabet="abX-.*?()|^$", max_size=12))
def test_plain_patterns_mean_what_they_mean_to_python(text: str) -> None:
    try:
        expected = re.compile(text, re.ASCII)
    except re.error:
        return
    _, problems = compile_patterns(text)
    if not problems:
        assert bool(compile_pattern(text).search("X-ab")) == bool(expected.search("X-ab"))
