"""The command that is printed for a model is one that its kind takes."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from switchyard.cli.models.calling import call_line
from switchyard.repository.verdict import Facts, Kind, Memory, Tensor

GATEWAY = "http://localhost:8000"
FACTS = Facts(format="onnx", kind="vision", bytes=1, memory=Memory(weights=1))


def words(facts: Facts, *, with_key: bool = False) -> list[str]:
    return shlex.split(call_line(GATEWAY, "digits", facts, with_key=with_key), comments=True)


def body(facts: Facts) -> Any:
    return json.loads(words(facts)[-1])


def test_a_small_models_tensors_are_written_out() -> None:
    inputs = (
        Tensor(name="x", datatype="FP32", shape=(-1, 3)),
        Tensor(name="who", datatype="BYTES", shape=(1,)),
        Tensor(name="on", datatype="BOOL", shape=(1,)),
    )
    facts = replace(FACTS, inputs=inputs)
    assert words(facts)[2] == f"{GATEWAY}/v2/models/digits/infer"
    assert body(facts)["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "who", "datatype": "BYTES", "shape": [1], "data": ["text"]},
        {"name": "on", "datatype": "BOOL", "shape": [1], "data": [False]},
    ]


@pytest.mark.parametrize("shape", [(-1, 3, 224, 224), (3, 32, 32), (-1, -1, -1, 3)])
def test_a_model_of_images_is_sent_one(shape: tuple[int, ...]) -> None:
    facts = replace(FACTS, inputs=(Tensor(name="image", datatype="FP32", shape=shape),))
    assert words(facts)[2:] == [
        f"{GATEWAY}/v1/vision/digits",
        "-H",
        "content-type: image/jpeg",
        "--data-binary",
        "@image.jpg",
    ]


@pytest.mark.parametrize("inputs", [(), (Tensor(name="x", datatype="FP32", shape=(-1, 100)),)])
def test_a_request_that_no_terminal_holds_is_looked_up(inputs: tuple[Tensor, ...]) -> None:
    assert words(replace(FACTS, inputs=inputs)) == ["curl", "-s", f"{GATEWAY}/v2/models/digits"]


@pytest.mark.parametrize(
    ("kind", "path", "field"),
    [("llm", "/v1/chat/completions", "messages"), ("embedding", "/v1/embeddings", "input")],
)
def test_language_models_are_asked_by_openais_protocol(kind: Kind, path: str, field: str) -> None:
    facts = replace(FACTS, kind=kind, format="huggingface")
    assert words(facts)[2] == GATEWAY + path
    assert body(facts)["model"] == "digits"
    assert field in body(facts)


def test_a_gateway_with_keys_is_sent_the_shells() -> None:
    line = call_line(GATEWAY, "digits", FACTS, with_key=True)
    assert '-H "authorization: Bearer $SWITCHYARD_KEY"' in line
