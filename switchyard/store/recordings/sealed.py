"""Recordings whose segments are encrypted at rest: names and fingerprints are not, which are hashes.

Each recording has a key of its own, derived from one in a file: random nonces of 96 bits are safe for 2**32 segments
of one key (NIST SP 800-38D, 8.3), which all gateways together would reach within weeks.
"""

import hmac
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Bounds, Held, Page, Recordings

MAX_KEYS = 256  # a segment begins with the number of its key, in one byte
_KEY_BYTES, _NONCE_BYTES = 32, 12
_CIPHERS = 1024  # that are kept: of what is written now and of what is asked for often


class DecryptionError(StoreError):
    """A segment was encrypted with a key that is not there, or is not as it was written."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Keys of 256 bits by their numbers; ``current`` is the number of the one that encrypts."""

    current: int
    keys: Mapping[int, bytes]


def read_keys(path: Path) -> Keys:
    """Return the keys of a file with ``<number> <32 bytes in base64>`` in each line, the current one first.

    Raises:
        ValueError: the file cannot be read as that; the message says which line, and nothing of what is in it.
    """
    keys: dict[int, bytes] = {}
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise ValueError(f"the keys in {path} cannot be read: {type(err).__name__}") from None
    for count, line in enumerate(lines, 1):
        if not line.strip():
            continue
        number, key = _parsed(line)
        if not 0 <= number < MAX_KEYS or number in keys or len(key) != _KEY_BYTES:
            raise ValueError(
                f"line {count} of {path} is no key: a number from 0 to {MAX_KEYS - 1} that no other line has, a blank,"
                f" and {_KEY_BYTES} bytes in base64"
            )
        keys[number] = key
    if not keys:
        raise ValueError(f"there is no key in {path}")
    return Keys(next(iter(keys)), keys)


def _parsed(line: str) -> tuple[int, bytes]:
    try:
        number, key = line.split()
        return int(number), b64decode(key, validate=True)
    except ValueError:
        return -1, b""


class SealedRecordings:
    """Recordings in others, each segment encrypted by AES-256-GCM for its recording and its number.

    They have scopes of their own there, so none that was written without keys is taken for one of them.
    """

    def __init__(self, recordings: Recordings, keys: Keys) -> None:
        self._recordings = recordings
        self._keys = keys

    async def claim(
        self,
        scope: str,
        name: str,
        recording: str,
        fingerprint: bytes,
        *,
        lease: float,
        ttl: float,
        aliases: Sequence[str] = (),
        report_lost: bool = False,
    ) -> Page | None:
        page = await self._recordings.claim(
            _sealed(scope), name, recording, fingerprint, lease=lease, ttl=ttl, aliases=aliases, report_lost=report_lost
        )
        return self._open(scope, page)

    async def find(self, scope: str, name: str, *, after: int = 0) -> Page | None:
        return self._open(scope, await self._recordings.find(_sealed(scope), name, after=after))

    async def follow(self, scope: str, recording: str, *, after: int) -> Page | None:
        return self._open(scope, await self._recordings.follow(_sealed(scope), recording, after=after))

    async def append(self, scope: str, recording: str, number: int, segment: bytes, *, lease: float) -> bool:
        sealed = self._seal(scope, recording, number, segment)
        return await self._recordings.append(_sealed(scope), recording, number, sealed, lease=lease)

    async def finish(
        self, scope: str, recording: str, number: int, segment: bytes, *, complete: bool, ttl: float, bounds: Bounds
    ) -> None:
        sealed = self._seal(scope, recording, number, segment)
        await self._recordings.finish(
            _sealed(scope), recording, number, sealed, complete=complete, ttl=ttl, bounds=bounds
        )

    async def forget(self, scope: str, name: str) -> bool:
        return await self._recordings.forget(_sealed(scope), name)

    async def clear(self, scope: str, kind: str) -> int:
        return await self._recordings.clear(_sealed(scope), kind)

    async def held(self, scope: str) -> Mapping[str, Held]:
        return await self._recordings.held(_sealed(scope))

    async def aclose(self) -> None:
        await self._recordings.aclose()

    def _seal(self, scope: str, recording: str, number: int, segment: bytes) -> bytes:
        if not segment:
            return segment
        key = self._keys.keys[self._keys.current]
        nonce = os.urandom(_NONCE_BYTES)
        encrypted = _cipher(key, scope, recording).encrypt(nonce, segment, b"%d" % number)
        return bytes([self._keys.current]) + nonce + encrypted

    def _open(self, scope: str, page: Page | None) -> Page | None:
        if page is None or not page.segments:
            return page
        recording = page.recording.id
        segments = [
            self._opened(scope, recording, number, sealed) for number, sealed in enumerate(page.segments, page.first)
        ]
        return Page(recording=page.recording, first=page.first, segments=segments)

    def _opened(self, scope: str, recording: str, number: int, sealed: bytes) -> bytes:
        key = self._keys.keys.get(sealed[0])
        if key is None:
            raise DecryptionError(f"the recording {recording} was encrypted with key {sealed[0]}, which is not there")
        nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return _cipher(key, scope, recording).decrypt(nonce, encrypted, b"%d" % number)
        except (InvalidTag, ValueError) as err:
            raise DecryptionError(f"segment {number} of the recording {recording} is not as it was written") from err


def _sealed(scope: str) -> str:
    return f"sealed:{scope}"


@lru_cache(maxsize=_CIPHERS)
def _cipher(key: bytes, scope: str, recording: str) -> AESGCM:
    of_scope, of_recording = scope.encode(), recording.encode()
    derived = hmac.digest(key, b"recording %d:%b%b" % (len(of_scope), of_scope, of_recording), "sha256")
    return AESGCM(derived)
