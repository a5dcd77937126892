"""What ended Triton or a model's process when it got there, by every route: nothing ends, and others are served."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import grpc
import psutil
import pytest

from switchyard.rpc.protobuf import write
from tests.live.processes import descendants, eventually, fetch
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision

pytestmark = pytest.mark.live

SERVICE = "/inference.GRPCInferenceService/"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"  # curl's default
HUGE = b"\x80\x80\x80\x80\x10"  # 2**32 on the wire
ECHO, ANY_SIZE, GENERATE = "/v2/models/echo/infer", "/v2/models/any-size/infer", "/v2/models/stream/generate"


@pytest.fixture(params=["predictor", "gateway"])
def port(request: pytest.FixtureRequest, vision: Vision) -> int:
    return vision.http if request.param == "predictor" else int(request.getfixturevalue("gateway"))


@pytest.fixture(autouse=True)
def unharmed(triton: Triton, vision: Vision) -> Iterator[None]:
    """Triton and all processes of its models live through the test, and the next request is served."""
    for model in ("echo", "any-size", "stream", "image-decode"):
        assert vision.status(f"/v2/models/{model}/config") == 200
    before = serving(triton, vision)
    yield
    assert echo(vision, 1)[0] == 200
    assert triton.process.poll() is None
    assert before <= set(descendants(triton.process.pid))


def serving(triton: Triton, vision: Vision) -> set[int]:
    """Returns the processes of all loaded models, once those of models that were unloaded or never loaded have ended.

    The tests before have left some: Triton answers before the process of such a model has ended.
    """
    loaded = json.loads(fetch(f"{vision.url}/v2/repository/index", {"ready": True})[1])
    wanted = sum(instances(vision, row["name"]) for row in loaded)

    def settled() -> set[int]:
        found = set(descendants(triton.process.pid))
        return found if len(found) == wanted else set()

    running: set[int] = eventually(settled, f"Triton has {wanted} processes, one for each instance of {loaded}")
    return running


def instances(vision: Vision, model: str) -> int:
    """Every backend of these models is in Python: each instance is a process."""
    config = json.loads(fetch(f"{vision.url}/v2/models/{model}/config")[1])
    return sum(int(group["count"]) for group in config["instance_group"])


def shaped(model: str, shape: str) -> bytes:
    tensor = f'"name":"{"x" if model == "echo" else "pixels"}","datatype":"FP32","shape":{shape},"data":[]'
    return f'{{"inputs":[{{{tensor}}}]}}'.encode()


REST = {
    "a form of 7.5 MB": (ECHO, b'{"inputs":[' + b"1," * 3_750_000 + b"1]}", {"content-type": FORM}),
    "a short form by the same type": ("/v1/vision/echo", b"1," * 3_750_000, {"content-type": FORM}),
    "gzip": (ECHO, gzip.compress(bytes(64 << 20)), {"content-type": JSON, "content-encoding": "gzip"}),
    "gzip of an image": ("/v1/vision/ocr", gzip.compress(bytes(1 << 20)), {"content-encoding": "gzip"}),
    "depth": (GENERATE, b'{"text_input":' + b"[" * 60_000 + b"]" * 60_000 + b"}", {"content-type": JSON}),
    "depth, streamed": (GENERATE + "_stream", b'{"a":' * 60_000 + b"1" + b"}" * 60_000, {"content-type": JSON}),
    "overflow": (ANY_SIZE, shaped("any-size", "[1,3,4294967296,4294967296]"), {"content-type": JSON}),
    "overflow, escaped": (
        ANY_SIZE,
        shaped("any-size", "[1,3,4294967296,4294967296]").replace(b"shape", b"sh\\u0061pe"),
        {"content-type": JSON},
    ),
    "empty, and huge": (ANY_SIZE, shaped("any-size", "[1,3,0,4611686018427387904]"), {"content-type": JSON}),
    "more than memory": (ECHO, shaped("echo", "[9223372036854775807]"), {"content-type": JSON}),
    "negative": (ECHO, shaped("echo", "[-1]"), {"content-type": JSON}),
    "length of the JSON": (ECHO, shaped("echo", "[1]"), {"inference-header-content-length": "-1"}),
}


@pytest.mark.parametrize("name", REST)
def test_http(port: int, name: str) -> None:
    path, body, headers = REST[name]
    status, said = fetch(f"http://127.0.0.1:{port}{path}", raw=body, **headers)
    assert status in (400, 413, 415), said
    assert json.loads(said)["error"]


def infer(model: str, shape: bytes, *rest: bytes, more: bytes = b"") -> bytes:
    tensor = write(1, "x" if model == "echo" else "pixels") + write(2, "FP32") + write(3, shape) + more
    return write(1, model) + write(5, tensor) + b"".join(rest)


RAW = write(7, b"")
RPC = {
    "overflow": infer("any-size", b"\x01\x03" + HUGE * 2, RAW),
    "inputs behind the values": write(1, "any-size") + RAW + infer("any-size", b"\x01\x03" + HUGE * 2),
    "inputs behind large values": write(1, "any-size") + write(7, bytes(9000)) + infer("any-size", HUGE * 2),
    "a shape in two fields": infer("any-size", b"\x01\x03", RAW, more=write(3, HUGE) * 2),
    "2**62 elements": infer("echo", b"\x80" * 8 + b"\x40", RAW),
    "negative": infer("echo", b"\x80" * 9 + b"\x01", RAW),
    "another name by a longer tag": infer("echo", b"\x01", write(7, bytes(4)), b"\x8a\x80\x80\x80\x10\x08any-size"),
}


def call(port: int, how: str, message: bytes) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        if how == "stream":
            list(channel.stream_stream(SERVICE + "ModelStreamInfer")(iter([message]), timeout=20))
        else:
            compression = grpc.Compression.Gzip if how == "compressed" else None
            channel.unary_unary(SERVICE + "ModelInfer")(message, timeout=20, compression=compression)


@pytest.mark.parametrize("how", ["call", "compressed", "stream"])
@pytest.mark.parametrize("name", RPC)
def test_grpc(port: int, name: str, how: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(port, how, RPC[name])
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT, raised.value.details()


def test_a_compressed_message_unpacks_to_no_more_than_the_limit(port: int, vision: Vision) -> None:
    message = infer("echo", b"\x01", write(7, bytes(4)), write(3, bytes(64 << 20)))
    with pytest.raises(grpc.RpcError) as raised:
        call(port, "compressed", message)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert psutil.Process(vision.process.pid).memory_info().rss < 400 << 20


@pytest.mark.parametrize("path", [ECHO, "/v1/vision/ocr"])
def test_bodies_that_do_not_end_take_little_memory(vision: Vision, path: str) -> None:
    process = psutil.Process(vision.process.pid)
    before = process.memory_full_info().pss
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 15000000\r\n\r\n"
    with ExitStack() as open_still:
        for _ in range(12):
            client = open_still.enter_context(socket.create_connection(("127.0.0.1", vision.http), timeout=5))
            with suppress(OSError):  # it is closed once there is no memory for more
                client.sendall(head.encode() + bytes(14_000_000))
        assert process.memory_full_info().pss - before < 64 << 20  # 170 MB where they are not counted
    eventually(lambda: echo(vision, 1)[0] == 200, "others are served")
