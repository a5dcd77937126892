"""Triton's models by their own names, with Triton's own clients, unmodified."""

import json
import queue
from contextlib import closing
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from tests.live.processes import fetch
from tests.live.vision.asking import ask
from tests.live.vision.processes import Vision

pytestmark = pytest.mark.live


def test_tritons_clients_ask_for_health_metadata_config_and_statistics(client: Any) -> None:
    made, _ = client
    assert made.is_server_live()
    assert made.is_server_ready()
    assert made.get_server_metadata()
    assert made.get_model_metadata("echo")
    assert made.get_model_config("echo")
    assert made.get_inference_statistics("echo")
    assert made.is_model_ready("echo")
    index = made.get_model_repository_index()
    assert "colors" in {row["name"] for row in index} if isinstance(index, list) else "colors" in str(index)


def test_tritons_clients_load_and_unload(client: Any) -> None:
    made, _ = client
    made.load_model("echo")
    assert made.is_model_ready("echo")
    made.unload_model("echo")
    assert not made.is_model_ready("echo")
    assert ask(client, "echo", np.ones(2, np.float32)).as_numpy("y").tolist() == [1, 1]
    assert made.is_model_ready("echo")
    with pytest.raises(InferenceServerException, match="failed to load"):
        made.load_model("nobody")
    with pytest.raises(InferenceServerException, match="the weights are missing"):
        made.load_model("broken")


def test_a_request_may_not_bring_a_models_files(client: Any) -> None:
    made, _ = client
    with pytest.raises(InferenceServerException, match="a model's files are those of its folder"):
        made.load_model("echo", config="{}", files={"file:1/model.py": b"import os"})


def test_ten_megabytes_come_back_unchanged(client: Any) -> None:
    values = np.random.default_rng(1).random(2_500_000, dtype=np.float32)
    assert np.array_equal(ask(client, "echo", values).as_numpy("y"), values)


def test_an_unknown_model_is_not_found(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="has no model 'nobody'") as raised:
        ask(client, "nobody", np.ones(1, np.float32))
    assert raised.value.status() in ("404", "StatusCode.NOT_FOUND")


def test_what_triton_rejects_is_rejected_with_tritons_sentence_and_what_the_model_takes(client: Any) -> None:
    both = r"takes 'x' FP32 .*request has 'x' "
    with pytest.raises(InferenceServerException, match=rf"expects 'FP32'.*{both}INT32"):
        ask(client, "echo", np.ones(1, np.int32), datatype="INT32")
    with pytest.raises(InferenceServerException, match=rf"{both}FP32 \[1, 1, 1, 1\]") as raised:
        ask(client, "echo", np.ones((1, 1, 1, 1), np.float32))
    assert "NOTE" not in str(raised.value)


def test_shared_memory_is_not_passed_on(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="shared memory"):
        client[0].get_system_shared_memory_status()


@pytest.mark.parametrize(
    ("header", "status", "words"),
    [
        ({"x-long": "y" * 9000}, 431, "longer than 8000 bytes"),
        ({"inference-header-content-length": "9" * 5000}, 400, "length of the JSON"),
    ],
    ids=["long", "no length"],
)
def test_a_header_that_cannot_be_passed_on_is_rejected(
    vision: Vision, header: dict[str, str], status: int, words: str
) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
    got, body = fetch(f"{vision.url}/v2/models/echo/infer", {"inputs": [tensor]}, raw=None, **header)
    assert (got, words in json.loads(body)["error"]) == (status, True), body


def test_a_grpc_stream_gives_every_response_and_may_change_models(vision: Vision) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{vision.grpc}")) as made:
        made.start_stream(lambda result, error: answers.put(error or result))
        words = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
        words.set_data_from_numpy(np.array([b"one two three"], dtype=np.object_))
        made.async_stream_infer("stream", [words])
        numbers = tritonclient.grpc.InferInput("x", [1], "FP32")
        numbers.set_data_from_numpy(np.ones(1, np.float32))
        said = [answers.get(timeout=60).as_numpy("text_output")[0] for _ in range(3)]
        made.async_stream_infer("whole", [numbers])
        assert answers.get(timeout=60).as_numpy("y").tolist() == [1]
        made.stop_stream()
    assert said == [b"one", b"two", b"three"]


def test_both_ports_say_by_grpcs_health_service_that_they_serve(vision: Vision) -> None:
    for port in (vision.http, vision.grpc):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10) == b"\x08\x01"  # SERVING


def test_generate_stream_sends_events(vision: Vision) -> None:
    status, body = fetch(f"{vision.url}/v2/models/stream/generate_stream", {"text_input": "one two"})
    assert status == 200
    assert [json.loads(line[5:])["text_output"] for line in body.splitlines() if line] == ["one", "two"]


def test_parameters_of_generate_that_are_no_object_are_the_clients_fault(vision: Vision) -> None:
    asked = {"text_input": "one", "parameters": 5}
    status, body = fetch(f"{vision.url}/v2/models/stream/generate", asked)
    said = {"error": "parameters must be a JSON object", "code": "invalid_value"}
    assert (status, json.loads(body)) == (400, said)
