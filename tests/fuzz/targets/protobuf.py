"""The model's name in a gRPC message: ``switchyard.rpc.protobuf`` against Google's library."""

from typing import Any

from google.protobuf import descriptor_pb2, message_factory, unknown_fields
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from switchyard.rpc.protobuf import read_text, write

TOKENS = (
    *(b"\x0a\x04chat", b"\x12\x05BYTES", b"\x0a\x00", b"\xff\xff\xff\xff\x0f", b"\x0b", b"\x0c", b"\x08\x01"),
    *(b"\x0d\0\0\0\0", b"\x09\0\0\0\0\0\0\0\0", b"\x82\x01", b"\x80\x80\x00", b"\x0a\x80\x01"),
)
_GROUP = 3  # a wire type that nobody has written since 2008


def _two_names() -> Any:
    """A message type with two repeated texts, so that it shows each time that one of them occurs."""
    file = descriptor_pb2.FileDescriptorProto(name="fuzz.proto", package="fuzz", syntax="proto3")
    message = file.message_type.add(name="Names")
    for number, name in enumerate(("one", "two"), 1):
        message.field.add(name=name, number=number, type="TYPE_STRING", label="LABEL_REPEATED")
    pool = DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("fuzz.Names"))


_Names = _two_names()


def target(data: bytes) -> None:
    try:
        parsed = _Names.FromString(data)
    except DecodeError:
        parsed = None
    for number, name in ((1, "one"), (2, "two")):
        try:
            read: str | None = read_text(data, number)
        except ValueError:
            read = None
        if parsed is None:
            continue
        texts = list(getattr(parsed, name))
        if read is not None:
            assert read == (texts[-1] if texts else "")
        else:  # rejected though it is a message: it could be read as two
            assert len(set(texts)) > 1 or _has_group(parsed)
    text = data.decode("utf-8", "replace")
    assert list(_Names.FromString(write(1, text) + write(3, True) + write(2, data[:0])).one) == [text] * bool(text)


def _has_group(message: Any) -> bool:
    return any(field.wire_type == _GROUP for field in unknown_fields.UnknownFieldSet(message))
