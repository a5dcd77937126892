"""Which headers of a request are propagated to every step.

KServe's rule: a header is propagated when one of the patterns in ``PROPAGATE_HEADERS`` (Go's RE2 syntax, separated by
commas, not anchored) matches in its canonical name; without a content-type among those, steps get application/json.
Beyond that rule, the W3C trace context and the platform's own headers are always propagated, and hop-by-hop headers
never.
"""

import re
import warnings
from collections.abc import Iterable

from switchyard.http.headers import CLIENT_TO_STEP, INTERNAL, Header
from switchyard.router.graph.spec import Problem

_ALWAYS = frozenset((b"traceparent", b"tracestate"))
_JSON = (b"content-type", b"application/json")
_KNOWN_NAMES = 1024  # reports kept: names are the client's, so their number must be bounded

# https://github.com/google/re2/wiki/Syntax: what Python spells otherwise, or has and RE2 has not
_TOKEN = re.compile(
    r"""(?P<literal>\\Q.*?(?:\\E|$))
      | (?P<unsupported>\\[1-9ZGk] | \(\?(?:[=!>\#(]|<[=!]|P[=>]) | (?<=[*+?}])\+ | \{\d{4,})
      | (?P<unicode>\\[pP](?:\{[^}]*\}|.) | \\[CX])
      | (?P<end>\\z)
      | (?P<escape>\\.)
      | (?P<group>\(\?<(?=[A-Za-z_]))
      | (?P<flags>\(\?(?P<on>[imsU]*)(?:-[imsU]+)?\))
      | (?P<set>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])""",
    re.VERBOSE | re.DOTALL,
)
_POSIX = re.compile(r"\[:(\^?)(\w+):\]")
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


class PatternError(ValueError):
    """A pattern cannot be used; the message quotes it and says what to do."""


class Propagation:
    """Chooses headers by ``patterns``; reports are kept by name."""

    def __init__(self, patterns: Iterable[re.Pattern[str]] = ()) -> None:
        self._patterns = tuple(patterns)
        self._verdicts: dict[bytes, bool] = {}

    def chosen(self, headers: Iterable[Header]) -> list[Header]:
        """The headers (names in lower case) that every step gets."""
        reports = self._verdicts
        kept = []
        typed = False
        for header in headers:
            name = header[0]
            verdict = reports.get(name)
            if verdict is None:
                verdict = self._judge(name)
            if verdict:
                kept.append(header)
                typed = typed or name == b"content-type"
        if not typed:
            kept.append(_JSON)
        return kept

    def _judge(self, name: bytes) -> bool:
        canonical = canonical_name(name)
        found = any(pattern.search(canonical) for pattern in self._patterns)
        always = name in _ALWAYS or name.startswith(INTERNAL)  # the gateway lets no client's own pass
        verdict = always or (found and not CLIENT_TO_STEP.drops(name))
        if len(self._verdicts) < _KNOWN_NAMES:
            self._verdicts[name] = verdict
        return verdict


def canonical_name(name: bytes) -> str:
    """``name`` as Go's net/http spells it: each word between hyphens capitalised."""
    return b"-".join([word.capitalize() for word in name.split(b"-")]).decode("latin-1")


def compile_patterns(text: str) -> tuple[Propagation, list[str]]:
    """The patterns of ``PROPAGATE_HEADERS``, and a sentence about each that cannot be used and is left out."""
    usable, problems = [], []
    for pattern in text.split(",") if text else ():
        try:
            usable.append(translate(pattern))
        except PatternError as err:
            problems.append(str(err))
    return Propagation(usable), problems


def translate(pattern: str) -> re.Pattern[str]:
    """An RE2 pattern as one of Python's that finds the same in a header's name.

    Raises:
        PatternError: it is not RE2, or uses what header names cannot need (Unicode classes).
    """
    opened = 0

    def python(token: re.Match[str]) -> str:
        nonlocal opened
        kind, text = token.lastgroup, token[0]
        if token["flags"] is not None:
            opened += 1  # Go lets flags hold up to the end of their group; a header pattern sets them for all of it
            return f"(?{token['on'].replace('U', '')}:" if token["on"].replace("U", "") else "(?:"
        if kind == "unsupported" or kind == "unicode":
            raise PatternError(f"the header pattern {pattern!r} uses {text}, which is not supported; write it without")
        if kind == "literal":
            return re.escape(text[2:].removesuffix("\\E"))
        if kind == "end":
            return r"\Z"
        if kind == "group":
            return "(?P<"
        return _POSIX.sub(_expanded, text) if kind == "set" else text

    try:
        translated = _TOKEN.sub(python, pattern)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets such as [a--b], which Python may read otherwise
            return re.compile(translated + ")" * opened, re.ASCII)
    except (re.error, KeyError) as err:
        raise PatternError(
            f"the header pattern {pattern!r} is no regular expression ({err}); use RE2 syntax, such as ^X-Request-Id$"
        ) from err


def _expanded(found: re.Match[str]) -> str:
    members = _CLASSES[found[2]]
    if found[1]:
        raise PatternError(f"the negated class {found[0]} is not supported; write the characters that are meant")
    return members


def examine_headers(patterns: str) -> tuple[Problem, ...]:
    """Problems of ``PROPAGATE_HEADERS``: patterns that would be left out."""
    _, sentences = compile_patterns(patterns)
    return tuple(Problem("error", "PROPAGATE_HEADERS", sentence) for sentence in sentences)
