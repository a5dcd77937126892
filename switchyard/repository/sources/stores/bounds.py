"""How long a response of a store may be that is no file: libraries read one to its end, and hold it in memory."""

from collections.abc import Iterator
from typing import Any

from switchyard.repository.sources.remote import SourceError

# A page of a listing has 1,000 names of at most 1,024 bytes, three times that where they are percent-encoded.
PAGE_BYTES = 8 << 20


def too_long(most: int) -> SourceError:
    """Return the error of a response that went on after ``most`` bytes."""
    return SourceError(f"The store sent a response of more than {most:,} bytes, which no listing has")


def bound(raw: Any, most: int = PAGE_BYTES) -> None:
    """Let the response ``raw`` of urllib3 end in a SourceError where its stream has more than ``most`` bytes."""
    stream = raw.stream

    def bounded(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        there = 0
        for chunk in stream(*args, **kwargs):
            there += len(chunk)
            if there > most:
                raw.close()
                raise too_long(most)
            yield chunk

    raw.stream = bounded
