"""Which headers of a request are propagated to every step.

KServe's rule: a header is propagated when one of the patterns in ``PROPAGATE_HEADERS`` (Go's RE2 syntax, separated by
commas, not anchored) matches in its canonical name; without a content-type among those, steps get application/json.
Beyond that rule, the W3C trace context and the platform's own headers are always propagated, and hop-by-hop headers
never.
"""

from collections.abc import Iterable
from typing import Protocol, cast

import re2

from switchyard.http.headers import CLIENT_TO_STEP, INTERNAL, Header
from switchyard.router.graph.spec import Problem

_ALWAYS = frozenset((b"traceparent", b"tracestate"))
_JSON = (b"content-type", b"application/json")
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
        typed = False
        for header in headers:
            name = header[0]
            propagated = cache.get(name)
            if propagated is None:
                propagated = self._decide(name)
            if propagated:
                kept.append(header)
                typed = typed or name == b"content-type"
        if not typed:
            kept.append(_JSON)
        return kept

    def _decide(self, name: bytes) -> bool:
        canonical = canonical_name(name)
        found = any(pattern.search(canonical) for pattern in self._patterns)
        always = name in _ALWAYS or name.startswith(INTERNAL)  # the gateway lets no client's own pass
        propagated = always or (found and not CLIENT_TO_STEP.drops(name))
        if len(self._propagated) < _CACHED_NAMES:
            self._propagated[name] = propagated
        return propagated


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
