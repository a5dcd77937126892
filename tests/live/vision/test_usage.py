"""The predictor says how many inferences and pixels a request used, when the gateway asks, in each of its protocols."""

import base64
import json
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.live.vision.asking import picture
from tests.live.vision.processes import Vision

pytestmark = pytest.mark.live

ASKS = {"x-switchyard-usage": "1"}
PIXELS = 40 * 30  # of a picture
TWO = np.zeros((2, 3, 8, 6), np.float32)  # of the size that ``colors`` wants


def said(response: httpx.Response) -> dict[str, int]:
    assert response.status_code == 200, response.text
    found: dict[str, int] = json.loads(response.headers["x-switchyard-usage"])
    return found


def post(vision: Vision, path: str, content: Any, kind: str = "application/json", **headers: str) -> dict[str, int]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    url, given = vision.url + path, {"content-type": kind, **ASKS, **headers}
    return said(httpx.post(url, content=data, headers=given, timeout=60))


def infer_input(module: Any, name: str, values: np.ndarray, datatype: str) -> Any:
    tensor = module.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def over_http(vision: Vision, model: str, name: str, values: np.ndarray, datatype: str) -> dict[str, int]:
    """As Triton's client sends it."""
    tensor = infer_input(tritonclient.http, name, values, datatype)
    body, length = tritonclient.http.InferenceServerClient.generate_request_body([tensor])
    kind = "application/octet-stream"
    return post(
        vision, f"/v2/models/{model}/infer", body, kind, **{"inference-header-content-length": str(length or len(body))}
    )


def request(model: str, name: str, values: np.ndarray, datatype: str) -> Any:
    tensor = infer_input(tritonclient.grpc, name, values, datatype)
    made = service_pb2.ModelInferRequest(model_name=model, inputs=[tensor._get_tensor()])
    made.raw_input_contents.append(tensor._get_content())
    return made


def over_grpc(vision: Vision, model: str, name: str, values: np.ndarray, datatype: str) -> dict[str, int]:
    with grpc.insecure_channel(f"127.0.0.1:{vision.http}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = request(model, name, values, datatype)
        _, call = stub.ModelInfer.with_call(asked, timeout=60, metadata=tuple(ASKS.items()))
        found: dict[str, int] = json.loads(dict(call.trailing_metadata())["x-switchyard-usage"])
        return found


def test_an_image_is_an_inference_with_the_pixels_that_it_came_with(vision: Vision) -> None:
    one = {"inferences": 1, "pixels": PIXELS}
    data = picture("red")
    text = base64.b64encode(data).decode()
    assert post(vision, "/v1/vision/colors", data, "image/png") == one
    assert post(vision, "/v1/vision/any-size", {"image": text}) == one
    assert post(vision, "/v2/models/colors/infer", picture("red", "JPEG"), "image/jpeg") == one
    two = {"inferences": 2, "pixels": 2 * PIXELS}
    assert post(vision, "/v1/models/colors:predict", {"instances": [{"image": {"b64": text}}] * 2}) == two
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}
    chat = {"model": "m", "messages": [{"role": "user", "content": [part, part]}]}
    assert post(vision, "/v1/vision/colors/chat", chat) == two


@pytest.mark.parametrize("ask", [over_http, over_grpc])
def test_a_batch_of_tensors_is_as_many_inferences(vision: Vision, ask: Any) -> None:
    assert ask(vision, "colors", "pixels", TWO, "FP32") == {"inferences": 2, "pixels": 2 * 8 * 6}
    large = np.zeros((4, 3, 250, 200), np.float32)  # 2.4 MB, so it is forwarded while it comes
    assert ask(vision, "any-size", "pixels", large, "FP32") == {"inferences": 4, "pixels": 4 * 250 * 200}
    assert ask(vision, "echo", "x", np.ones(5, np.float32), "FP32") == {"inferences": 1}


@pytest.mark.parametrize("ask", [over_http, over_grpc])
@pytest.mark.parametrize(("model", "name"), [("colors", "image"), ("ocr", "image"), ("image-decode", "image")])
def test_an_image_in_a_tensor_has_pixels_too(vision: Vision, ask: Any, model: str, name: str) -> None:
    for data in (picture("red"), picture("red", "BMP", (800, 600))):  # the second is forwarded while it comes
        pixels = PIXELS if len(data) < 10_000 else 800 * 600
        values = np.array([data], dtype=np.object_)
        assert ask(vision, model, name, values, "BYTES") == {"inferences": 1, "pixels": pixels}


def test_tensors_as_json_are_counted(vision: Vision) -> None:
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [2, 3, 8, 6], "data": [0] * TWO.size}
    assert post(vision, "/v2/models/colors/infer", {"inputs": [tensor]}) == {"inferences": 2, "pixels": 2 * 48}


def test_a_stream_says_the_sum_of_its_messages_in_its_trailers(vision: Vision) -> None:
    messages = [request("colors", "pixels", TWO, "FP32"), request("echo", "x", np.ones(1, np.float32), "FP32")]
    with grpc.insecure_channel(f"127.0.0.1:{vision.http}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelStreamInfer(iter(messages), timeout=60, metadata=tuple(ASKS.items()))
        assert [response.error_message for response in call] == ["", ""]
        assert json.loads(dict(call.trailing_metadata())["x-switchyard-usage"]) == {"inferences": 3, "pixels": 96}


def test_nothing_is_said_to_who_does_not_ask(vision: Vision) -> None:
    response = httpx.post(
        f"{vision.url}/v1/vision/colors", content=picture("red"), headers={"content-type": "image/png"}
    )
    assert response.status_code == 200
    assert "x-switchyard-usage" not in response.headers
    with grpc.insecure_channel(f"127.0.0.1:{vision.http}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        _, call = stub.ModelInfer.with_call(request("colors", "pixels", TWO, "FP32"), timeout=60)
        assert "x-switchyard-usage" not in dict(call.trailing_metadata())
