"""URLs, split once: the origin to connect to and the target for the request line."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A target of visible ASCII only, as it stands: nothing that could end the request line, and no fragment.
_URL = re.compile(r'[a-z]+://[^/?#]+([/?][!"$-~]*)?')
_REMEMBERED_LENGTH = 512  # of a URL; a client's query may be far longer, and two thousand of those would fill memory


class Origin(NamedTuple):
    """What connections are pooled by."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class SplitUrl(NamedTuple):
    """A URL's origin, and the bytes that follow the method: the rest of the request line and the host header."""

    origin: Origin
    target_and_host: bytes


def split_url(url: str) -> SplitUrl:
    """Split ``url`` into its origin and the bytes that follow the method in a request for it.

    Raises:
        ValueError: the URL is not plain http or https, or holds characters that must be percent-encoded.
    """
    return _remembered(url) if len(url) <= _REMEMBERED_LENGTH else _split(url)


def _split(url: str) -> SplitUrl:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        raise ValueError(f"{url!r} is not an http or https URL of a host")
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"{url!r} holds characters that must be percent-encoded")
    target = found[1] or "/"
    if target[0] == "?":
        target = f"/{target}"
    origin = Origin(parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])
    return SplitUrl(origin, f" {target} HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode("ascii"))


_remembered = lru_cache(maxsize=2048)(_split)  # an upstream has one URL for each of its routes
