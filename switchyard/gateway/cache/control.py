"""What a request says of the cache: ``cache-control`` (RFC 9111 §5.2.1), and whether sampled output may be cached."""

import re
from dataclasses import dataclass

FORCE_HEADER = b"x-switchyard-cache"
_FORCE = b"force"
# A token, with an argument that is a token or a quoted string (RFC 9110 §5.6); a list may have empty members.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_DIRECTIVE = re.compile(rb'(%b)(?:=(?:(%b)|"((?:[^"\\]|\\.)*)"))?' % (_TOKEN, _TOKEN), re.DOTALL)
_MOST_SECONDS = 2**31  # RFC 9111 §1.2.2: what is larger counts as this


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """The directives of a request that count here; ``max_age`` is in seconds, None for any.

    ``force`` asks for the cache where output is sampled: equal requests then get equal responses.
    """

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    force: bool = False

    def takes(self, age: float) -> bool:
        """Whether a response that was made ``age`` seconds ago may be used."""
        return not (self.no_cache or self.no_store) and (self.max_age is None or age <= self.max_age)


_ANY = Control()


def read_control(cache_control: bytes | None, asked: bytes | None = None) -> Control:
    """Read the values of ``cache-control`` and ``x-switchyard-cache``, each None where the request has none.

    Unknown directives are ignored, as RFC 9111 §5.2.3 says; an age that is no number of seconds counts as 0, which is
    the cautious reading (§4.2.1).
    """
    force = asked is not None and asked.strip().lower() == _FORCE
    if cache_control is None:
        return Control(force=True) if force else _ANY
    found: dict[bytes, bytes] = {}
    for name, token, quoted in _DIRECTIVE.findall(cache_control):
        found.setdefault(name.lower(), token or quoted)
    return Control(
        no_store=b"no-store" in found,
        no_cache=b"no-cache" in found,
        only_if_cached=b"only-if-cached" in found,
        max_age=_seconds(found[b"max-age"]) if b"max-age" in found else None,
        force=force,
    )


def _seconds(text: bytes) -> int:
    if not text.isdigit():
        return 0
    digits = text.lstrip(b"0")
    return _MOST_SECONDS if len(digits) > 10 else min(int(digits or b"0"), _MOST_SECONDS)
