"""What a flood asks of the process that it is run against."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Paths:
    """``page`` answers a GET at once, ``upload`` reads the body of a POST.

    ``stream`` is a body for ``upload`` whose response goes on for long, where the process has such; ``idle`` is how
    many connections stay open without a request.
    """

    page: bytes
    upload: bytes
    stream: bytes = b""
    idle: int = 10_000
