"""Whether a file has the content that its store speaks of."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from switchyard.repository.sources.remote import Checksum

_CHUNK = 1 << 20


class Hasher(Protocol):
    """What has an ``update`` and a ``hexdigest``, as hashlib's do."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def hasher(checksum: Checksum, size: int) -> Hasher:
    """Return what computes the checksum of a file of ``size`` bytes."""
    match checksum.algorithm:
        case "crc32":
            return _Crc32()
        case "crc32c":
            return _crc32c()
        case "git-sha1":
            # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
            return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        case "md5-parts":
            return _Parts(checksum.part_size)
        case algorithm:
            return hashlib.new(algorithm, usedforsecurity=False)


def digest(path: Path, checksum: Checksum) -> str:
    """Return the checksum of the file at ``path`` by the algorithm of ``checksum``."""
    computed = hasher(checksum, path.stat().st_size)
    for chunk in _chunks(path):
        computed.update(chunk)
    return computed.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def _crc32c() -> Hasher:
    from google_crc32c import Checksum as Crc32c  # comes with google-cloud-storage

    class _Hex:
        def __init__(self) -> None:
            self._state = Crc32c()

        def update(self, data: bytes) -> None:
            self._state.update(data)

        def hexdigest(self) -> str:
            return str(self._state.hexdigest().decode())

    return _Hex()


class _Parts:
    """S3's ETag of an upload in parts, without the ``-N``: the MD5 of the concatenated MD5s of its parts.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self._left = part_size
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts = hashlib.md5(usedforsecurity=False)
        self._begun = False

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            taken = view[: self._left]
            self._part.update(taken)
            self._left -= len(taken)
            self._begun = True
            if not self._left:
                self._close()
            view = view[len(taken) :]

    def hexdigest(self) -> str:
        if self._begun:
            self._close()
        return self._parts.hexdigest()

    def _close(self) -> None:
        self._parts.update(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._left = self._part_size
        self._begun = False
