"""``grpc-timeout``: at most eight digits and a unit (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

import re

_FORM = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_LARGEST = 10**8 - 1


def parse(value: bytes) -> float:
    """Parse a value; return seconds.

    Raises:
        ValueError: ``value`` has another form.
    """
    if (found := _FORM.fullmatch(value)) is None:
        raise ValueError(f"grpc-timeout {value[:20].decode('latin-1')!r} is not up to 8 digits and a unit")
    return int(found[1]) * _SECONDS[found[2]]


def encode(seconds: float) -> bytes:
    """Encode ``seconds`` in the finest unit that has room; 0 and less become the shortest timeout there is."""
    if (micros := int(seconds * 1e6)) <= _LARGEST:
        return b"%du" % max(micros, 1)
    if (millis := int(seconds * 1e3)) <= _LARGEST:
        return b"%dm" % millis
    return b"%dS" % min(int(seconds), _LARGEST)
