"""Which trace a request belongs to, as its headers say: W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

import re

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
# Tells the client which trace its request is: the header of the same form for responses, of the standard's next level
# (https://w3c.github.io/trace-context/#traceresponse-header).
TRACERESPONSE = b"traceresponse"

# A later version may append to the four fields of this one; ff is none.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.{0,512})?")
_FIRST_VERSION, _ITS_LENGTH = "00", 55
_MEMBER = re.compile(rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_STATE_BYTES, _MEMBERS = 512, 32  # what every part of a trace must at least pass on, and at most may get (§3.3.1)
_SAMPLED = 1


def valid_traceparent(value: str | None) -> str | None:
    """Return a ``traceparent`` that is one, None for any other text, which the standard ignores."""
    if value is None or not _TRACEPARENT.fullmatch(value):
        return None
    return None if len(value) != _ITS_LENGTH and value.startswith(_FIRST_VERSION) else value


def trace_id_of(traceparent: str) -> str:
    """Return the trace's id, 32 hexadecimal digits, of a valid ``traceparent``."""
    return traceparent[3:35]


def is_sampled(traceparent: str) -> bool:
    """Return whether the sender of a valid ``traceparent`` may have recorded the trace."""
    return bool(int(traceparent[53:55], 16) & _SAMPLED)


def valid_tracestate(value: bytes | None) -> bytes | None:
    """Return a ``tracestate`` that is one, of at most 32 members and 512 bytes; None for any other."""
    if not value or len(value) > _STATE_BYTES:
        return None
    members = [stripped for member in value.split(b",") if (stripped := member.strip(b" \t"))]
    valid = 0 < len(members) <= _MEMBERS and all(map(_MEMBER.fullmatch, members))
    return value if valid else None


def for_recorder(traceparent: str | None) -> str | None:
    """Return the ``traceparent`` for what records every request that has one, as Triton does: None if not sampled."""
    return traceparent if traceparent is not None and is_sampled(traceparent) else None
