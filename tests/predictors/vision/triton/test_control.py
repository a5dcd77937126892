"""Requests to load and unload that clients make, and what is left of them."""

import json
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from predictors.vision.triton.control import (
    control_request,
    load_of_json,
    load_of_message,
    unload_of_json,
    unload_of_message,
)
from switchyard.http.api_errors import ApiError
from switchyard.rpc.protobuf import write

# What a client may not say of a model: it would be code.
FILES: list[dict[str, Any]] = [
    {"file:1/model.py": "aW1wb3J0IG9z"},
    {"file:1/model.py": ""},
    {"FILE:1/model.py": True},
    {"config": "{}", "file:1/model.py": "x"},
    {"": True},
]
OF_LOADS: list[dict[str, Any]] = [*FILES, {"unload_dependents": True}, {"config": True}, {"config": 5}]
OF_UNLOADS: list[dict[str, Any]] = [
    *FILES,
    {"config": "{}"},
    {"unload_dependents": "true"},
    {"unload_dependents": 1},
    {"unload_dependents": True, "x": False},
]


def message(request: Any, parameters: dict[str, Any]) -> bytes:
    for name, value in parameters.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
        setattr(request.parameters[name], kind, value)
    encoded: bytes = request.SerializeToString()
    return encoded


@pytest.mark.parametrize("parameters", OF_LOADS, ids=str)
def test_a_load_takes_no_parameter_but_a_config(parameters: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="is not taken") as raised:
        load_of_json(json.dumps({"parameters": parameters}).encode())
    assert raised.value.status == 400
    with pytest.raises(ApiError, match="is not taken"):
        load_of_message(message(service_pb2.RepositoryModelLoadRequest(model_name="ocr"), parameters))


@pytest.mark.parametrize("parameters", OF_UNLOADS, ids=str)
def test_an_unload_takes_no_parameter_but_its_own(parameters: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="is not taken") as raised:
        unload_of_json("ocr", json.dumps({"parameters": parameters}).encode())
    assert raised.value.status == 400
    with pytest.raises(ApiError, match="is not taken"):
        unload_of_message(message(service_pb2.RepositoryModelUnloadRequest(model_name="ocr"), parameters))


@pytest.mark.parametrize("flag", [True, False])
def test_what_tritons_clients_always_say_of_an_unload_is_understood(flag: bool) -> None:
    expected = control_request("ocr", unload_dependents=flag)
    sent = message(service_pb2.RepositoryModelUnloadRequest(model_name="ocr"), {"unload_dependents": flag})
    assert unload_of_message(sent) == ("ocr", expected)
    assert unload_of_json("ocr", json.dumps({"parameters": {"unload_dependents": flag}}).encode()) == expected
    read = service_pb2.RepositoryModelUnloadRequest.FromString(expected)
    assert (read.model_name, read.parameters["unload_dependents"].bool_param) == ("ocr", flag)


def test_the_config_of_a_load_is_read_and_written_as_tritons_clients_do() -> None:
    config = json.dumps({"max_batch_size": 4, "ü": 1})
    sent = message(service_pb2.RepositoryModelLoadRequest(model_name="ocr"), {"config": config})
    assert load_of_message(sent) == ("ocr", config)
    assert load_of_json(json.dumps({"parameters": {"config": config}}).encode()) == config
    read = service_pb2.RepositoryModelLoadRequest.FromString(control_request("ocr", config=config))
    assert (read.model_name, read.parameters["config"].string_param) == ("ocr", config)


def test_a_message_is_written_anew_from_its_name() -> None:
    sent = service_pb2.RepositoryModelUnloadRequest(model_name="ocr", repository_name="/etc").SerializeToString()
    assert unload_of_message(sent + write(9, "more")) == ("ocr", control_request("ocr"))
    assert service_pb2.RepositoryModelLoadRequest.FromString(control_request("ocr")).model_name == "ocr"


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff",
        write(2, "ocr") + write(2, "other"),
        write(2, "ocr") + write(3, b"\xff"),
        write(2, "ocr") + write(3, write(1, "unload_dependents")),
        write(2, "ocr") + write(3, write(1, "unload_dependents") + write(2, b"\x08\x01\x1a\x01x")),
        write(2, "ocr") + write(3, write(1, "unload_dependents") + write(1, "file:x") + write(2, b"\x08\x01")),
        write(2, "ocr") + b"\x9a\x80\x80\x80\x10" + write(1, "config")[1:],
    ],
)
def test_a_message_that_two_parsers_could_read_in_two_ways_is_rejected(sent: bytes) -> None:
    with pytest.raises(ApiError):
        unload_of_message(sent)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        *((body, "must be a JSON object") for body in (b"[]", b"[1]", b'"x"')),
        *((body, "the body is not JSON: ") for body in (b"{", b"[" * 5000)),
        (b'{"parameters": 5}', "`parameters` must be an object"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
    ],
)
def test_a_body_that_is_no_request_is_rejected(body: bytes, sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence):
        load_of_json(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters": null}', b'{"parameters": {}, "x": 1}'])
def test_a_body_without_parameters_asks_for_the_model_alone(body: bytes) -> None:
    assert load_of_json(body) == ""
