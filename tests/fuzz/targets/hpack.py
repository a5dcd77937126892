"""Header fields of HTTP/2: ``switchyard.http.h2.fields``, with a cache of blocks and without.

The input begins with the number of the block before which the peer has agreed to keep no table; then come blocks, each
after its length in one byte.
"""

from collections.abc import Iterator

import hpack

from switchyard.http.h2.fields import LIST_BYTES, BlockCache, BlockDecoder, Field, literals
from switchyard.http.h2.frames import ProtocolError

TOKENS = (
    *(b"\x82\x86\x84", b"\x41\x01x", b"\x40\x01a\x01b", b"\x00\x01a\x01b", b"\x10\x01a\x01b", b"\xbe", b"\xff\x80\x01"),
    *(b"\x20", b"\x3f\xe1\x1f", b"\x3f\xff\xff\xff\xff\x0f", b"\x7f\x00", b"\x0f\x00\x81\x1f", b"\x00\x7f\x80\x80\x01"),
)


def target(data: bytes) -> None:
    agreed, blocks = data[:1] or b"\0", list(_blocks(data[1:]))
    cache: BlockCache[list[Field]] = BlockCache(lambda fields: fields)
    first = _read(BlockDecoder(cache), agreed[0], blocks)
    cached = _read(BlockDecoder(cache), agreed[0], blocks)
    assert cached == first
    fresh = hpack.Decoder(max_header_list_size=LIST_BYTES)
    for fields in first:
        assert sum(len(name) + len(value) + 32 for name, value in fields) <= LIST_BYTES
        written = [(bytes(name), bytes(value)) for name, value in fresh.decode(literals(fields), raw=True)]
        assert written == fields


def _blocks(data: bytes) -> Iterator[bytes]:
    while data:
        length = data[0]
        yield data[1 : 1 + length]
        data = data[1 + length :]


def _read(decoder: BlockDecoder[list[Field]], agreed: int, blocks: list[bytes]) -> list[list[Field]]:
    found: list[list[Field]] = []
    for number, block in enumerate(blocks):
        if number == agreed:
            decoder.acknowledged()
        try:
            found.append(decoder.decode(block))
        except ProtocolError:  # ends the connection
            return found
    return found
