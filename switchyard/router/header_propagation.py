"""Which headers of a request are propagated to every step.

KServe's rule: a header is propagated when one of the patterns in ``PROPAGATE_HEADERS`` (Go's RE2 syntax, separated by
commas, not anchored) matches in its canonical name; without a content-type among those, steps get application/json.
Beyond that rule, the W3C trace context, the request's id, the platform's own headers and those without which a body
cannot be read are always propagated, and hop-by-hop headers never.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import re2

from switchyard.http.headers import CLIENT_TO_STEP, INTERNAL, JSON_LENGTH, Header
from switchyard.router.graph.spec import Problem

# Without them, a body is not the one that they came with.
_OF_THE_BODY = frozenset((b"content-encoding", JSON_LENGTH))
_ALWAYS = frozenset((b"traceparent", b"tracestate", b"x-request-id")) | _OF_THE_BODY
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")  # of a V2 body in which tensors follow the JSON
_CACHED_NAMES = 1024  # reports kept: names are the client's, so their number must be bounded

_QUIET = re2.Options()
_QUIET.log_errors = False  # RE2 would write them to the process's stderr itself


class PatternError(ValueError):
    """A pattern cannot be used; the message quotes it and says what to do."""


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """Find the pattern anywhere in ``text``."""


class Propagation:
    """Selects headers by ``patterns``; the result for each name is cached."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self._patterns = tuple(patterns)
        self._propagated: dict[bytes, bool] = {}

    def chosen(self, headers: Iterable[Header]) -> list[Header]:
        """Return the headers (names in lower case) that every step receives."""
        cache = self._propagated
        kept = []
        typed = binary = False
        for header in headers:
            name = header[0]
            propagated = cache.get(name)
            if propagated is None:
                propagated = self._decide(name)
            if propagated:
                kept.append(header)
                typed = typed or name == b"content-type"
                binary = binary or name == JSON_LENGTH
        if not typed:
            kept.append(_BINARY if binary else _JSON)
        return kept

    def _decide(self, name: bytes) -> bool:
        canonical = canonical_name(name)
        found = any(pattern.search(canonical) for pattern in self._patterns)
        always = name in _ALWAYS or name.startswith(INTERNAL)  # the gateway lets no client's own pass
        propagated = always or (found and not CLIENT_TO_STEP.drops(name))
        if len(self._propagated) < _CACHED_NAMES:
            self._propagated[name] = propagated
        return propagated


def for_response_body(request: Iterable[Header], response: Sequence[Header]) -> list[Header]:
    """Return the headers of a ``request`` for a step that gets a ``response``'s body in place of the request's."""
    own = [header for header in response if header[0] in _OF_THE_BODY]
    kept = [header for header in request if header[0] not in _OF_THE_BODY]
    if JSON_LENGTH in {name for name, _ in (*own, *request)}:
        kind = _BINARY if any(name == JSON_LENGTH for name, _ in own) else _JSON
        kept = [*(header for header in kept if header[0] != b"content-type"), kind]
    return kept + own


def json_of(body: bytes, headers: Iterable[Header]) -> bytes:
    """Return what conditions are tested on: of a V2 body with binary tensors the JSON before them, else the body."""
    for name, value in headers:
        if name == JSON_LENGTH and value.isdigit() and len(value) < 20:  # Python reads no endless ones
            return body[: int(value)]
    return body


def canonical_name(name: bytes) -> str:
    """Spell ``name`` as Go's net/http does: each word between hyphens capitalized."""
    return b"-".join([word.capitalize() for word in name.split(b"-")]).decode("latin-1")


def compile_patterns(text: str) -> tuple[Propagation, list[str]]:
    """Compile ``PROPAGATE_HEADERS``; return a sentence about each pattern that cannot be used and is left out."""
    usable, problems = [], []
    for pattern in text.split(",") if text else ():
        try:
            usable.append(compile_pattern(pattern))
        except PatternError as err:
            problems.append(str(err))
    return Propagation(usable), problems


def compile_pattern(pattern: str) -> Pattern:
    r"""Compile a pattern in RE2's syntax; beyond Go's, ``\C`` (any byte) is taken.

    Raises:
        PatternError: it is none.
    """
    try:
        return cast(Pattern, re2.compile(pattern, _QUIET))
    except re2.error as err:
        reason = err.args[0].decode()
    except UnicodeEncodeError:
        reason = "not UTF-8"
    raise PatternError(
        f"the header pattern {pattern!r} is no regular expression ({reason}); use RE2 syntax, such as ^X-Request-Id$"
    )


def examine_headers(patterns: str) -> tuple[Problem, ...]:
    """Return the problems of ``PROPAGATE_HEADERS``: patterns that would be left out."""
    _, sentences = compile_patterns(patterns)
    return tuple(Problem("error", "PROPAGATE_HEADERS", sentence) for sentence in sentences)
