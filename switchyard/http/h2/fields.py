"""Header fields of HTTP/2 read with a table, as peers may send them, and written without one.

Peers are told to keep no table (SETTINGS_HEADER_TABLE_SIZE = 0, RFC 7541 §4.2). From then on a block means the same
whenever it comes, so what is made of one is remembered.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import hpack

from switchyard.http.h2.frames import COMPRESSION_ERROR, BadFrame

Field = tuple[bytes, bytes]
T = TypeVar("T")

LIST_BYTES = 32 * 1024
NO_TABLE = b"\x20"  # the table has no room: begins the first block after the peer has limited it (RFC 7541 §4.2, §6.3)
_REMEMBERED = 512
_REMEMBERED_BYTES = 2048  # of one block; longer ones hardly come twice


class Memory(Generic[T]):
    """What ``make`` made of the fields of the blocks seen most recently, for all connections of one direction."""

    def __init__(self, make: Callable[[list[Field]], T]) -> None:
        self.make = make
        self._known: dict[bytes, T] = {}

    def get(self, block: bytes) -> T | None:
        return self._known.get(block)

    def put(self, block: bytes, made: T) -> None:
        if len(block) > _REMEMBERED_BYTES:
            return
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[block] = made


class Reader(Generic[T]):
    """Reads the blocks of one connection in their order."""

    def __init__(self, memory: Memory[T]) -> None:
        self._memory = memory
        self._decoder = hpack.Decoder(max_header_list_size=LIST_BYTES)
        self._acknowledged = self._tableless = False

    def acknowledged(self) -> None:
        """The peer has been told to keep no table and has agreed: its next block begins by emptying it."""
        self._acknowledged = True
        self._decoder.max_allowed_table_size = 0

    def read(self, block: bytes) -> T:
        """Raises ``BadFrame`` when the block cannot be read."""
        if self._tableless and (known := self._memory.get(block)) is not None:
            return known
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.HPACKError as err:
            raise BadFrame(COMPRESSION_ERROR, f"the header fields cannot be read: {err}") from err
        made = self._memory.make(fields)
        if self._tableless:
            self._memory.put(block, made)
        self._tableless = self._acknowledged and self._decoder.header_table_size == 0
        return made


def _length(size: int) -> bytes:
    """A length of a string that is not compressed: an integer with a prefix of seven bits (RFC 7541 §5.1)."""
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
    """A field that leaves no trace in the reader's table (RFC 7541 §6.2.2)."""
    return b"\0%b%b%b%b" % (_length(len(name)), name, _length(len(value)), value)


def literals(fields: list[Field]) -> bytes:
    """A whole block of such fields."""
    return b"".join([literal(name, value) for name, value in fields])
