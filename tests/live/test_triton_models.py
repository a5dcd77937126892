"""Triton from its wheel with the models of model-repository/vision, and small ONNX models for the backend."""

import io
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.live.processes import ROOT, eventually, fetch
from tests.live.vision.processes import Triton

pytestmark = pytest.mark.live

PICTURES = ROOT / "tests" / "testdata" / "pictures"
COMPLETES = ("--disable-auto-complete-config",)  # left out, so that the backend is asked to complete configurations
OCR = ("image-decode", "ocr-detection", "ocr-direction", "ocr-recognition", "ocr")


def onnx_model(folder: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], config: str = "") -> None:
    (folder / "1").mkdir(parents=True)
    graph = helper.make_graph(nodes, folder.name, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(f'backend: "onnxruntime"\n{config}')


def write_models(repository: Path) -> None:
    """The project's models; ``sums`` (two outputs), ``pick`` (fails on its own inputs), ``words``; and broken ones."""
    for folder in (ROOT / "model-repository" / "vision").iterdir():
        (repository / folder.name).symlink_to(folder)
    value, float_, integer, text = (
        helper.make_tensor_value_info,
        TensorProto.FLOAT,
        TensorProto.INT64,
        TensorProto.STRING,
    )
    x, y = value("x", float_, ["n", 2]), value("y", float_, ["n", 2])
    sums = [helper.make_node("Add", ["x", "x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    onnx_model(repository / "sums", sums, [x], [y, value("z", float_, ["n", 2])])
    both = 'max_batch_size: 8\ninput { name: "x" data_type: TYPE_FP32 dims: [2] }\n'
    both += 'output { name: "y" data_type: TYPE_FP32 dims: [2] }\n'
    waiting = "dynamic_batching { max_queue_delay_microseconds: 200000 }\ninstance_group { count: 1 kind: KIND_CPU }\n"
    onnx_model(repository / "batched", sums[:1], [x], [y], both + waiting)
    row = 'max_batch_size: 8\ninput { name: "i" data_type: TYPE_INT64 dims: [1] }\n'
    row += 'output { name: "o" data_type: TYPE_INT64 dims: [1] }\n'
    indices, picked = value("i", integer, ["n", 1]), value("o", integer, ["n", 1])
    table = helper.make_node("Constant", [], ["t"], value=helper.make_tensor("t", integer, [3], [10, 20, 30]))
    gather = helper.make_node("Gather", ["t", "i"], ["o"])
    onnx_model(repository / "pick", [table, gather], [indices], [picked], row + waiting)
    words = [value(name, text, ["n"]) for name in ("a", "b")]
    onnx_model(repository / "words", [helper.make_node("Identity", ["a"], ["b"])], words[:1], words[1:])
    texts = [value(name, text, ["n", 1]) for name in ("a", "b")]
    texts_io = 'max_batch_size: 8\ninput { name: "a" data_type: TYPE_STRING dims: [1] }\n'
    texts_io += 'output { name: "b" data_type: TYPE_STRING dims: [1] }\n'
    onnx_model(
        *(repository / "texts", [helper.make_node("Identity", ["a"], ["b"])], texts[:1], texts[1:]), texts_io + waiting
    )
    write_odd_shapes(repository)
    onnx_model(repository / "misnamed", sums[:1], [x], [y], both.replace('"x"', '"pixels"'))
    onnx_model(repository / "corrupt", sums[:1], [x], [y])
    (repository / "corrupt" / "1" / "model.onnx").write_bytes(b"no graph at all")
    onnx_model(repository / "absent", sums[:1], [x], [y])
    (repository / "absent" / "1" / "model.onnx").unlink()


def write_odd_shapes(repository: Path) -> None:
    """``sequence`` (1 more at its start) and ``scalars`` (twice as much, a number for each of a batch)."""
    value, number = helper.make_tensor_value_info, TensorProto.FLOAT
    x, start, y = (value(name, number, ["n", 1]) for name in ("x", "start", "y"))
    config = 'max_batch_size: 8\ninput { name: "x" data_type: TYPE_FP32 dims: [1] }\n'
    config += 'output { name: "y" data_type: TYPE_FP32 dims: [1] }\nsequence_batching { control_input { name: "start"\n'
    config += "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } } }\n"
    onnx_model(repository / "sequence", [helper.make_node("Add", ["x", "start"], ["y"])], [x, start], [y], config)
    scalars, config = [value(side, number, ["n"]) for side in ("x", "y")], "max_batch_size: 8\n"
    for side, tensor in (("input", "x"), ("output", "y")):
        config += f'{side} {{ name: "{tensor}" data_type: TYPE_FP32 dims: [1] reshape {{ shape: [] }} }}\n'
    onnx_model(repository / "scalars", [helper.make_node("Add", ["x", "x"], ["y"])], scalars[:1], scalars[1:], config)


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    folder = tmp_path_factory.mktemp("triton")
    repository = folder / "models"
    repository.mkdir()
    write_models(repository)
    started = Triton(repository, folder, without=COMPLETES)
    eventually(lambda: live(started), "Triton live")
    yield started
    started.stop()


def live(triton: Triton) -> bool:
    assert triton.process.poll() is None, triton.log.read_text()[-4000:]
    try:
        return fetch(f"http://127.0.0.1:{triton.http}/v2/health/live")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def client(triton: Triton) -> Iterator[InferenceServerClient]:
    with closing(InferenceServerClient(f"127.0.0.1:{triton.grpc}")) as made:
        yield made


@pytest.fixture(scope="module")
def ocr(client: InferenceServerClient) -> InferenceServerClient:
    with ThreadPoolExecutor(len(OCR)) as pool:
        list(pool.map(client.load_model, OCR))
    return client


def ask(client: Any, model: str, values: np.ndarray, name: str, datatype: str, *outputs: str) -> Any:
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return client.infer(model, [tensor], outputs=[InferRequestedOutput(output) for output in outputs] or None)


def send(client: Any, model: str, data: bytes) -> Any:
    return ask(client, model, np.array([data], dtype=np.object_), "image", "BYTES")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (head, b"IDAT")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_photo_that_lies_on_its_side_is_read_where_it_is_upright(ocr: Any) -> None:
    answer = send(ocr, "ocr", (PICTURES / "car.jpg").read_bytes())
    assert answer.as_numpy("text").tolist() == [b"5AU5341"]
    assert answer.as_numpy("scores")[0] > 0.9
    box = answer.as_numpy("boxes")[0]
    assert box.shape == (4, 2)
    assert (box[0] < box[2]).all()
    pixels = send(ocr, "image-decode", (PICTURES / "car.jpg").read_bytes()).as_numpy("pixels")
    assert pixels.shape == (331, 518, 3)
    assert (box.max(axis=0) < [518, 331]).all()


def test_a_scan_that_stands_on_its_head_is_read(ocr: Any) -> None:
    text = send(ocr, "ocr", (PICTURES / "features-upside-down.png").read_bytes()).as_numpy("text").tolist()
    assert text[-1].replace(b" ", b"") == b"AdditionalFeatures"


def test_images_at_the_same_time_are_not_mixed_up(ocr: Any) -> None:
    names = ["car.jpg", "map-cmyk.jpg", "plate.png"]
    alone = {name: send(ocr, "ocr", (PICTURES / name).read_bytes()).as_numpy("text").tolist() for name in names}
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda name: send(ocr, "ocr", (PICTURES / name).read_bytes()), names * 2))
    assert [answer.as_numpy("text").tolist() for answer in together] == [alone[name] for name in names * 2]


def test_an_image_without_text_gives_empty_outputs(ocr: Any) -> None:
    answer = send(ocr, "ocr", encoded(Image.new("RGB", (64, 48), "white")))
    shapes = [answer.as_numpy(name).shape for name in ("text", "boxes", "scores")]
    assert shapes == [(0,), (0, 4, 2), (0,)]


@pytest.mark.parametrize("model", ["image-decode", "ocr"])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the image is empty"),
        (png_header(60_000, 60_000), "60000 x 60000 pixels, 3600.0 megapixels; at most 40"),
        (png_header(10_000, 5_000), "10000 x 5000 pixels, 50.0 megapixels"),
        (png_header(0, 0), "send a whole"),
        (encoded(Image.effect_noise((64, 64), 80))[:1000], "damaged or cut short"),
        (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC is not read here: send a whole BMP, GIF, JPEG, PNG, TIFF or WebP"),
    ],
    ids=["empty", "bomb", "fifty megapixels", "no pixels", "truncated", "heic"],
)
def test_a_bad_image_is_the_senders_mistake(ocr: Any, model: str, data: bytes, sentence: str) -> None:
    with pytest.raises(InferenceServerException, match=sentence) as caught:
        send(ocr, model, data)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_an_image_too_thin_to_read_is_the_senders_mistake(ocr: Any) -> None:
    with pytest.raises(InferenceServerException, match="too thin to find lines of text") as caught:
        send(ocr, "ocr", encoded(Image.new("RGB", (2000, 1))))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("values", "datatype"), [(np.zeros((1,), np.float32), "FP32"), (np.array([b"a", b"b"], dtype=np.object_), "BYTES")]
)
def test_a_wrong_type_or_shape_is_the_senders_mistake(ocr: Any, values: np.ndarray, datatype: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask(ocr, "ocr", values, "image", datatype)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_size_that_a_model_cannot_compute_with_is_told_without_its_source_files(ocr: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask(ocr, "ocr-detection", np.zeros((1, 3, 200, 640), np.float32), "x", "FP32")
    assert "rejected inputs of the shapes x [1, 3, 200, 640]: its operator Add cannot compute" in str(caught.value)
    assert "onnxruntime" not in str(caught.value)


def test_an_image_is_decoded_to_a_wanted_size(ocr: Any) -> None:
    image, size = InferInput("image", [1], "BYTES"), InferInput("size", [2], "INT32")
    image.set_data_from_numpy(np.array([encoded(Image.new("RGB", (64, 48), "red"))], dtype=np.object_))
    size.set_data_from_numpy(np.array([8, 6], np.int32))
    pixels = ocr.infer("image-decode", [image, size]).as_numpy("pixels")
    assert pixels.tolist() == [[[255, 0, 0]] * 6] * 8


def test_a_config_is_completed_from_the_graph(client: Any) -> None:
    client.load_model("sums")
    config = client.get_model_config("sums", as_json=True)["config"]
    assert [tensor["name"] for tensor in config["output"]] == ["y", "z"]
    assert config["input"][0]["dims"] == ["2"]
    assert config["max_batch_size"] == 4


def test_only_the_outputs_that_were_asked_for_come_back(client: Any) -> None:
    client.load_model("sums")
    values = np.array([[1, 2], [3, 4]], np.float32)
    assert ask(client, "sums", values, "x", "FP32").as_numpy("z").tolist() == [[-1, -2], [-3, -4]]
    only = ask(client, "sums", values, "x", "FP32", "y")
    assert only.as_numpy("y").tolist() == [[2, 4], [6, 8]]
    assert only.as_numpy("z") is None


def test_a_batch_gives_the_same_as_requests_alone(client: Any) -> None:
    client.load_model("batched")
    values = [np.full((1 + number % 2, 2), number, np.float32) for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda one: ask(client, "batched", one, "x", "FP32").as_numpy("y"), values))
    assert all(np.array_equal(answer, 2 * one) for answer, one in zip(answers, values, strict=True))

    def counts() -> tuple[int, int]:
        row = client.get_inference_statistics("batched").model_stats[0]
        return row.inference_count, row.execution_count

    eventually(lambda: counts()[0] == sum(map(len, values)), "all are counted")
    assert counts()[1] < len(values)


def test_one_bad_request_does_not_spoil_the_others_of_its_batch(client: Any) -> None:
    client.load_model("pick")

    def pick(index: int) -> Any:
        try:
            return ask(client, "pick", np.array([[index]], np.int64), "i", "INT64").as_numpy("o").item()
        except InferenceServerException as err:
            return err

    with ThreadPoolExecutor(4) as pool:
        first, bad, second, third = pool.map(pick, [0, 99, 2, 1])
    assert (first, second, third) == (10, 30, 20)
    assert "ONNX Runtime rejected a value of i: its operator" in str(bad)
    assert bad.status() == "StatusCode.INVALID_ARGUMENT"


def test_text_passes_through_an_onnx_model(client: Any) -> None:
    client.load_model("words")
    words = np.array(["größer".encode(), b"b"], dtype=np.object_)
    assert ask(client, "words", words, "a", "BYTES").as_numpy("b").tolist() == words.tolist()


def test_outputs_come_in_the_order_in_which_they_are_declared(client: Any) -> None:
    for _ in range(4):  # a set of names has another order in each process, one time in two
        client.load_model("sums")
        result = ask(client, "sums", np.ones((1, 2), np.float32), "x", "FP32")
        assert [output.name for output in result.get_response().outputs] == ["y", "z"]
        client.unload_model("sums")


def test_text_that_is_not_utf8_is_the_mistake_of_its_sender_alone(client: Any) -> None:
    client.load_model("texts")

    def say(word: bytes) -> Any:
        try:
            return ask(client, "texts", np.array([[word]], dtype=np.object_), "a", "BYTES").as_numpy("b").item()
        except InferenceServerException as err:
            return err

    with ThreadPoolExecutor(4) as pool:
        first, bad, second, third = pool.map(say, [b"a", b"\xff\xfe", b"b", b"c"])
    assert (first, second, third) == (b"a", b"b", b"c")
    assert "input 'a' is not UTF-8" in str(bad)
    assert bad.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_model_of_sequences_sees_where_one_starts(client: Any) -> None:
    client.load_model("sequence")

    def step(number: float, **of_sequence: Any) -> float:
        tensor = InferInput("x", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[number]], np.float32))
        result: np.ndarray = client.infer("sequence", [tensor], sequence_id=7, **of_sequence).as_numpy("y")
        return float(result.item())

    assert [step(1, sequence_start=True), step(2), step(3, sequence_end=True)] == [2, 2, 3]


def test_scalars_come_and_go_as_tensors_of_one_element(client: Any) -> None:
    client.load_model("scalars")
    values = np.array([[1], [2], [3]], np.float32)
    assert np.array_equal(ask(client, "scalars", values, "x", "FP32").as_numpy("y"), 2 * values)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("corrupt", "cannot be read as an ONNX model"),
        ("absent", "model.onnx is missing .the folder has no .*onnx file"),
        ("misnamed", "names the input 'pixels', but the graph has the input 'x'"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(client: Any, model: str, sentence: str) -> None:
    with pytest.raises(InferenceServerException, match=sentence):
        client.load_model(model)


def test_a_killed_server_leaves_no_memory_behind_for_long(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "image-decode").symlink_to(ROOT / "model-repository" / "vision" / "image-decode")
    own = Triton(tmp_path / "models", tmp_path, without=COMPLETES)
    try:
        eventually(lambda: live(own), "Triton live")
        assert fetch(f"http://127.0.0.1:{own.http}/v2/repository/models/image-decode/load", {})[0] == 200
        killed = own.process.pid
        assert list(Path("/dev/shm").glob(f"switchyard_triton_{killed}_*"))
        own.kill()
        own.start_again()
        eventually(lambda: live(own), "Triton live again")
        assert not list(Path("/dev/shm").glob(f"switchyard_triton_{killed}_*"))
    finally:
        own.stop()
