"""Pictures in every form that carries one, against a real Triton."""

import base64
import http.client
import io
import json
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from predictors.vision.rest.forwarding import STREAMED_BYTES
from tests.live.processes import fetch
from tests.live.vision.asking import BOUNDARY, ask, form, picture, send
from tests.live.vision.digits import add_digits
from tests.live.vision.processes import Triton, Vision

pytestmark = pytest.mark.live


@pytest.mark.parametrize("kind", ["png", "jpeg", "form", "json", "data uri"])
def test_an_image_comes_in_many_ways_and_is_labeled(vision: Vision, kind: str) -> None:
    data = picture("blue", "JPEG" if kind == "jpeg" else "PNG")
    text = base64.b64encode(data).decode()
    bodies: dict[str, tuple[bytes, str]] = {
        "png": (data, "image/png"),
        "jpeg": (data, "image/jpeg"),
        "form": (form("file", data, top_k="2"), f"multipart/form-data; boundary={BOUNDARY}"),
        "json": (json.dumps({"image": text, "top_k": 2}).encode(), "application/json"),
        "data uri": (json.dumps({"image": f"data:image/png;base64,{text}"}).encode(), "application/json"),
    }
    status, body = send(vision, "/v1/vision/colors?top_k=2", *bodies[kind])
    assert status == 200, body
    answer = json.loads(body)
    assert answer["model"] == "colors"
    assert (answer["labels"][0]["label"], answer["labels"][0]["index"]) == ("blue", 2)
    assert len(answer["labels"]) == 2


def test_a_text_response_is_the_labels_alone(vision: Vision) -> None:
    status, body = send(vision, "/v1/vision/colors?top_k=1", picture("red"), "image/png", accept="text/plain")
    assert (status, body) == (200, b"red")


def test_kserve_v1_predicts_from_images(vision: Vision) -> None:
    instances = [{"image": {"b64": base64.b64encode(picture(color)).decode()}} for color in ("red", "lime")]
    status, body = fetch(f"{vision.url}/v1/models/colors:predict", {"instances": instances})
    assert status == 200, body
    assert [row["labels"][0]["label"] for row in json.loads(body)["predictions"]] == ["red", "green"]


def test_a_v2_request_may_bring_an_image_instead_of_tensors(client: Any) -> None:
    answer = ask(client, "colors", np.array([picture("red")], dtype=np.object_), "image", "BYTES")
    assert answer.as_numpy("label")[0] in (b"red", "red")
    assert answer.as_numpy("index").tolist()[0] == 0
    assert answer.as_numpy("score").dtype == np.float32


def test_a_large_image_in_a_v2_request_is_no_large_tensor(client: Any) -> None:
    pixels = picture("red", "BMP", (800, 600))
    assert len(pixels) > STREAMED_BYTES
    answer = ask(client, "colors", np.array([pixels], dtype=np.object_), "image", "BYTES")
    assert answer.as_numpy("label")[0] in (b"red", "red")


@pytest.mark.parametrize(
    ("size", "words"),
    [((3000, 1000), "3000 x 1000 pixels as FP32 are more than"), ((4000, 2000), "the response exceeds")],
    ids=["tensor too large", "pixels too large"],
)
def test_an_image_that_would_become_too_large_is_rejected(vision: Vision, size: tuple[int, int], words: str) -> None:
    status, body = send(vision, "/v1/vision/any-size", picture("lime", size=size), "image/png")
    assert (status, words in json.loads(body)["error"]["message"]) == (413, True), body
    status, body = send(vision, "/v1/vision/any-size", picture("lime"), "image/png")
    assert (status, json.loads(body)["labels"][0]["label"]) == (200, "green")


def test_an_image_as_the_body_of_a_v2_request_gets_a_response_in_v2(vision: Vision) -> None:
    status, body = send(vision, "/v2/models/colors/infer", picture("red"), "image/png")
    assert status == 200, body
    outputs = {row["name"]: row for row in json.loads(body)["outputs"]}
    assert outputs["label"]["data"][0] == "red"
    assert outputs["score"]["datatype"] == "FP32"


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"no picture", "image/png", 400, "PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", 400, "PNG"),
        (picture("red")[:60], "image/png", 400, ""),
        (b"", "image/png", 400, "empty"),
        (b"{}", "application/json", 400, "no field"),
        (b'{"image": "%%"}', "application/json", 400, "base64"),
        (b"<svg/>", "text/html", 415, "multipart"),
    ],
    ids=["text", "heic", "truncated", "empty", "no field", "no base64", "html"],
)
def test_what_is_no_image_is_rejected_with_a_sentence(
    vision: Vision, body: bytes, kind: str, status: int, words: str
) -> None:
    got, answer = send(vision, "/v1/vision/colors", body, kind)
    assert (got, words in json.loads(answer)["error"]["message"]) == (status, True), answer


def test_a_body_that_is_too_large_is_rejected_before_it_is_sent(vision: Vision) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", vision.http, timeout=60)) as connection:
        connection.putrequest("POST", "/v1/vision/colors")
        connection.putheader("content-type", "image/png")
        connection.putheader("content-length", str(17 * 1024 * 1024))
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, b"MAX_BODY_BYTES" in answer.read()) == (413, True)


def test_a_model_of_other_tensors_says_which(vision: Vision) -> None:
    status, body = send(vision, "/v1/vision/echo", picture("red"), "image/png")
    assert status == 400
    assert "send tensors to /v2/models/echo/infer: 'x' FP32 [-1]" in json.loads(body)["error"]["message"]


def test_text_is_read_from_an_image_with_its_boxes_and_scores(vision: Vision) -> None:
    image = Image.new("RGB", (640, 200), "white")
    font = ImageFont.load_default(56)
    for line, text in enumerate(("HELLO WORLD", "TRACK 42")):
        ImageDraw.Draw(image).text((40, 20 + 80 * line), text, "black", font)
    data = io.BytesIO()
    image.save(data, "PNG")
    status, body = send(vision, "/v1/vision/ocr", data.getvalue(), "image/png")
    assert status == 200, body
    answer = json.loads(body)
    assert answer["text"].replace(" ", "") == "HELLOWORLD\nTRACK42"
    assert [len(line["box"]) for line in answer["lines"]] == [4, 4]
    assert all(0.5 < line["score"] <= 1 for line in answer["lines"])
    assert send(vision, "/v1/vision/ocr", data.getvalue(), "image/png", accept="text/plain") == (
        200,
        answer["text"].encode(),
    )
    assert send(vision, "/v1/vision/ocr", b"no picture", "image/png")[0] == 400


def test_a_scikit_learn_classifier_of_digits_needs_no_code(vision: Vision, triton: Triton) -> None:
    pixels, digits = add_digits(triton.repository)
    right = 0
    for row, digit in zip(pixels, digits, strict=True):
        image = Image.fromarray(np.uint8(row.reshape(8, 8) * 255 / 16)).convert("RGB")
        data = io.BytesIO()
        image.save(data, "PNG")
        status, body = send(vision, "/v1/vision/digits?top_k=3", data.getvalue(), "image/png")
        assert status == 200, body
        right += json.loads(body)["labels"][0]["label"] == f"the digit {digit}"
    assert right >= 0.9 * len(digits)
