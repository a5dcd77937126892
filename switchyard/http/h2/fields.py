"""Header fields of HTTP/2: decoded with HPACK's dynamic table, as peers may use it, and encoded without one.

Peers are told to keep no table (SETTINGS_HEADER_TABLE_SIZE = 0, RFC 7541 §4.2). From then on equal blocks mean equal
fields, so what was parsed from a block can be cached.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import hpack

from switchyard.http.h2.frames import COMPRESSION_ERROR, ProtocolError

Field = tuple[bytes, bytes]
T = TypeVar("T")

LIST_BYTES = 32 * 1024
NO_TABLE = b"\x20"  # sets the table's size to 0: begins the first block after the peer limited it (RFC 7541 §4.2, §6.3)
_CACHED_BLOCKS = 512
_CACHED_BLOCK_BYTES = 2048  # longer blocks rarely come twice


class BlockCache(Generic[T]):
    """Caches what ``parse`` returned for recent header blocks, for all connections of one direction.

    Clients repeat their headers: a hit saves decoding and checking them again.
    """

    def __init__(self, parse: Callable[[list[Field]], T]) -> None:
        self.parse = parse
        self.parsed: dict[bytes, T] = {}

    def put(self, block: bytes, parsed: T) -> None:
        if len(block) > _CACHED_BLOCK_BYTES:
            return
        if len(self.parsed) >= _CACHED_BLOCKS:
            del self.parsed[next(iter(self.parsed))]
        self.parsed[block] = parsed


class BlockDecoder(Generic[T]):
    """Decodes the header blocks of one connection, in their order."""

    def __init__(self, cache: BlockCache[T]) -> None:
        self._cache = cache
        self._decoder = hpack.Decoder(max_header_list_size=LIST_BYTES)
        self._tableless = False

    def acknowledged(self) -> None:
        """Note that the peer has agreed to keep no table.

        Its next block should begin by saying so (RFC 7541 §4.2). gRPC's C core leaves that out of the errors which it
        writes by hand, so the table is emptied here: a block that refers to it is rejected all the same.
        """
        self._tableless = True
        self._decoder.max_allowed_table_size = self._decoder.header_table_size = 0

    def decode(self, block: bytes) -> T:
        """Decode and parse a block.

        Raises:
            ProtocolError: the block is not valid HPACK.
        """
        # While the peer still has a table, equal bytes may stand for other fields than they did before.
        if self._tableless and (cached := self._cache.parsed.get(block)) is not None:
            return cached
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.HPACKError as err:
            # hpack's own words stay here: some hold the address of an object in memory.
            raise ProtocolError(COMPRESSION_ERROR, "the header block cannot be decoded") from err
        parsed = self._cache.parse(fields)
        if self._tableless:
            self._cache.put(block, parsed)
        return parsed


def _length(size: int) -> bytes:
    """Encode the length of an uncompressed string, an integer with a prefix of seven bits (RFC 7541 §5.1)."""
    if size < 127:
        return bytes((size,))
    out = bytearray((127,))
    size -= 127
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


def literal(name: bytes, value: bytes) -> bytes:
    """Encode a field that the decoder does not add to its table (RFC 7541 §6.2.2)."""
    return b"\0%b%b%b%b" % (_length(len(name)), name, _length(len(value)), value)


def literals(fields: list[Field]) -> bytes:
    """Encode a whole block of such fields."""
    return b"".join([literal(name, value) for name, value in fields])
