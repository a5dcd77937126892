"""API keys: ``sy-``, 43 random characters and a checksum of six, so that scanners for secrets find them by their form.

A key is 256 bits of randomness, so its plain SHA-256 can be stored: nothing can be guessed from it.
"""

import hashlib
import re
import secrets
import string
from zlib import crc32

PREFIX = "sy-"
_RANDOM, _CHECKSUM = 43, 6  # characters: 62**43 > 2**256, and 62**6 > 2**32
NAME = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # of a key, and of tenants and teams
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
UNBOUND_FORM = rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}"  # also within a longer word
FORM = rf"\b{UNBOUND_FORM}\b"
_KEY = re.compile(UNBOUND_FORM.encode())


def create_key() -> str:
    """Return a new key."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body.encode())


def is_key(text: bytes) -> bool:
    """Return whether ``text`` has a key's form and checksum."""
    return _KEY.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM]).encode() == text[-_CHECKSUM:]


def digest(key: bytes) -> bytes:
    """Return the SHA-256 by which a key is known."""
    return hashlib.sha256(key).digest()


def _checksum(body: bytes) -> str:
    value, digits = crc32(body), ""
    for _ in range(_CHECKSUM):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
