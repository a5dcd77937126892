"""Durations in Go's notation, which Knative's annotations use."""

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class DurationError(ValueError):
    """The text is not a Go duration."""


def parse(text: str) -> float:
    """Return the seconds of a Go duration such as ``1m30s``; the grammar is that of Go's ``time.ParseDuration``.

    Raises:
        DurationError: ``text`` is not such a duration, for example a number without a unit.
    """
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    total, end = 0.0, 0
    while end < len(rest) and (term := _TERM.match(rest, end)):
        total += float(term[1]) * _SECONDS[term[2]]
        end = term.end()
    if end == 0 or end != len(rest):
        raise DurationError(f"{text!r} is not a duration; write a number with a unit, such as 90s, 1m30s or 1.5h")
    return sign * total
