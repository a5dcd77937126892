"""Calls of every method of V2 gRPC, first as they should be, then not."""

import gzip
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tritonclient.grpc import service_pb2 as pb

from switchyard.http.h2.fields import Field
from switchyard.rpc import v2
from tests.grpc_api import wire

LARGEST = 48 * 1024  # of a call's data: less than any window, so that nobody has to wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client sends on one stream.

    ``data`` are the DATA frames; without ``ends`` the last does not end the stream, and the client resets it.
    ``odd`` says that more than the message is wrong, and ``breaks`` that HTTP/2 itself is: the connection may end.
    """

    path: str
    data: Sequence[bytes]
    fields: Sequence[Field] = ()
    ends: bool = True
    odd: str = ""
    after: bytes = b""  # frames of HTTP/2, with the stream's number to be filled in
    breaks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that is asked: a tensor that it takes, and its values, raw."""

    name: str
    tensor: str
    datatype: str
    shape: Sequence[int]
    raw: bytes
    repository: bool = False  # whether clients load and unload it


def framed(message: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4, "big") + message


def messages(model: Model) -> Mapping[str, list[bytes]]:
    """Messages by method, each as it should be."""
    tensor = pb.ModelInferRequest.InferInputTensor(name=model.tensor, datatype=model.datatype, shape=model.shape)
    infer = pb.ModelInferRequest(model_name=model.name, id="7", inputs=[tensor], raw_input_contents=[model.raw])
    infer.parameters["priority"].int64_param = 1
    plain = pb.ModelInferRequest(model_name=model.name, model_version="1", inputs=[tensor])
    if model.datatype == "BYTES":
        plain.inputs[0].contents.bytes_contents.append(model.raw[4:])
    else:
        plain.inputs[0].contents.fp32_contents.extend([1.5] * (len(model.raw) // 4))
    plain.outputs.add(name="y").parameters["classification"].int64_param = 2
    named = {"name": model.name, "version": "1"}
    found = {
        "ModelInfer": [infer, plain],
        "ModelStreamInfer": [infer, plain],
        "ModelMetadata": [pb.ModelMetadataRequest(**named)],
        "ModelReady": [pb.ModelReadyRequest(**named)],
        "ModelConfig": [pb.ModelConfigRequest(**named)],
        "ModelStatistics": [pb.ModelStatisticsRequest(**named), pb.ModelStatisticsRequest()],
        "RepositoryIndex": [pb.RepositoryIndexRequest(repository_name="a", ready=True)],
        "ServerLive": [pb.ServerLiveRequest()],
        "ServerReady": [pb.ServerReadyRequest()],
        "ServerMetadata": [pb.ServerMetadataRequest()],
        "SystemSharedMemoryRegister": [pb.SystemSharedMemoryRegisterRequest(name="a", key="/a", byte_size=64)],
        "TraceSetting": [pb.TraceSettingRequest(model_name=model.name)],
        "LogSettings": [pb.LogSettingsRequest()],
    }
    if model.repository:
        load = pb.RepositoryModelLoadRequest(model_name=model.name)
        with_files = pb.RepositoryModelLoadRequest(model_name=model.name)
        with_files.parameters["file:1/model.py"].bytes_param = b"x"
        found |= {
            "RepositoryModelLoad": [load, with_files],
            "RepositoryModelUnload": [pb.RepositoryModelUnloadRequest(model_name=model.name)],
        }
    return {name: [one.SerializeToString() for one in some] for name, some in found.items()}


def valid(model: Model) -> Iterator[Call]:
    for method, some in messages(model).items():
        for message in some:
            yield Call(path=v2.path(method), data=[framed(message)])


def changed(dice: random.Random, model: Model, count: int) -> Iterator[Call]:
    """Calls whose message is no longer what it was; most are those that hold most."""
    known = messages(model)
    methods = [*known, *["ModelInfer", "ModelStreamInfer"] * 6]
    for _ in range(count):
        method = dice.choice(methods)
        nodes = wire.parsed(dice.choice(known[method]))
        assert nodes is not None
        message = wire.changed(dice, nodes)[: LARGEST - 64]
        cut = dice.randint(0, len(message) + 5)
        whole = framed(message)
        yield Call(path=v2.path(method), data=[whole[:cut], whole[cut:]] if dice.random() < 0.3 else [whole])


def odd(model: Model) -> Iterator[Call]:
    """Calls whose frames, of gRPC or of HTTP/2, or whose metadata are wrong."""
    for method in ("ModelInfer", "ModelStreamInfer", "ModelReady", "ServerLive"):
        path, message = v2.path(method), messages(model)[method][0]
        for name, data, fields in _frames(message):
            yield Call(path=path, data=data, fields=fields, odd=name)
        yield Call(path=path, data=[framed(message)[:7]], ends=False, odd="reset within a message")
        yield Call(path=path, data=[], ends=False, odd="reset before a message")
        for name, after in _AFTER.items():
            yield Call(path=path, data=[framed(message)], odd=name, after=after, breaks=True)
    whole = [framed(messages(model)["ModelInfer"][0])]
    for name, fields in _METADATA.items():
        yield Call(path=v2.path("ModelInfer"), data=whole, fields=fields, odd=name)
    for path in ("/", "/a", "//", "/inference.GRPCInferenceService/", "/inference.GRPCInferenceService/%4d", "/a/b/c"):
        yield Call(path=path, data=whole, odd=f"path {path}")


def _frames(message: bytes) -> Iterator[tuple[str, list[bytes], list[Field]]]:
    packed = gzip.compress(message)
    gzipped, deflated = (b"grpc-encoding", b"gzip"), (b"grpc-encoding", b"deflate")
    yield "compressed without an encoding", [framed(message, 1)], []
    yield "compressed as identity", [framed(message, 1)], [(b"grpc-encoding", b"identity")]
    yield "an unknown flag", [framed(message, 2)], []
    yield "an unknown flag and an encoding", [framed(message, 255)], [gzipped]
    yield "an unknown encoding", [framed(message, 1)], [(b"grpc-encoding", b"snappy")]
    yield "an unknown encoding that is not used", [framed(message)], [(b"grpc-encoding", b"snappy")]
    yield "gzip", [framed(packed, 1)], [gzipped]
    yield "deflate", [framed(zlib.compress(message), 1)], [deflated]
    yield "gzip that is none", [framed(message, 1)], [gzipped]
    yield "gzip that is cut", [framed(packed[:-5], 1)], [gzipped]
    yield "gzip and more", [framed(packed + b"x", 1)], [gzipped]
    yield "gzip of 32 MB", [framed(gzip.compress(bytes(32 * 2**20)), 1)], [gzipped]
    yield "two encodings", [framed(packed, 1)], [gzipped, deflated]
    yield "a length beyond the data", [framed(message, 0, len(message) + 1)], []
    yield "a length of 4 GB", [framed(message, 0, 2**32 - 1)], []
    yield "a length before the data's end", [framed(message, 0, max(0, len(message) - 1))], []
    yield "no message", [], []
    yield "no message in a frame", [b""], []
    yield "a part of a prefix", [b"\0\0"], []
    yield "a prefix without a message", [framed(b"", 0, 20)], []
    yield "two messages", [framed(message) * 2], []
    yield "a message and a part of one", [framed(message) + b"\0\0\0"], []
    yield "a thousand messages", [framed(b"") * 1000], []
    yield "a byte in each frame", [bytes([byte]) for byte in framed(message)[:200]], []
    yield "a content-length that lies", [framed(message)], [(b"content-length", b"1")]


# Frames behind the end of the stream: kind, flags and payload, length and stream are filled in.
_AFTER = {
    "data behind the end": b"\0\1\0\0\0\0\0",
    "headers behind the end": b"\1\5" + b"\0\1a\1b",
    "a window beyond 2**31": b"\x08\0\x7f\xff\xff\xff",
    "a window of nothing": b"\x08\0\0\0\0\0",
    "a reset of 3 bytes": b"\3\0\0\0\0",
    "a push": b"\5\4\0\0\0\2\x82",
    "a dependency on itself": b"\2\0\0\0\0\1\1",
    "an unknown frame": b"\xfa\xff" + bytes(20),
}
_METADATA: Mapping[str, list[Field]] = {
    "a timeout without a unit": [(b"grpc-timeout", b"5")],
    "a timeout of no unit": [(b"grpc-timeout", b"5x")],
    "a timeout below nothing": [(b"grpc-timeout", b"-1S")],
    "a timeout of nine digits": [(b"grpc-timeout", b"123456789S")],
    "no timeout": [(b"grpc-timeout", b"")],
    "the longest timeout": [(b"grpc-timeout", b"99999999H")],
    "a timeout that has passed": [(b"grpc-timeout", b"0n")],
    "a timeout of other digits": [(b"grpc-timeout", "²S".encode())],
    "binary metadata that is none": [(b"a-bin", b"!!!"), (b"b-bin", b"====")],
    "metadata of 20 KB": [(b"a", b"a" * 20000)],
    "a hundred fields": [(b"a%d" % number, b"b") for number in range(100)],
    "a trace that is none": [(b"traceparent", b"00-zz-\xff-01"), (b"tracestate", b"=,=")],
    "a tenant": [(b"x-switchyard-tenant", b"globex"), (b"x-switchyard-usage", b"1")],
    "a status of the client's": [(b"grpc-status", b"0"), (b"grpc-message", b"%zz")],
    "a name twice": [(b"user-agent", b"a"), (b"user-agent", b"b")],
    "a connection header": [(b"connection", b"close")],
    "an upper case name": [(b"A-Name", b"b")],
    "te of something else": [(b"te", b"gzip")],
    "a cookie": [(b"cookie", b"a=b; c"), (b"authorization", b"Bearer \x7f")],
}
