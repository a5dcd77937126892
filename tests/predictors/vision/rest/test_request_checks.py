"""What is not handed to Triton: each row is of a kind that ended Triton or a model's process, or passed a limit."""

import time

import pytest

from predictors.vision.rest.request_checks import (
    MAX_DEPTH,
    check_depth,
    check_headers,
    check_json,
    check_parameters,
    json_length,
)
from predictors.vision.rest.routes import Kind
from predictors.vision.triton.tensors import HEADER_LENGTH
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import Scope

JSON, BINARY, FORM = b"application/json", b"application/octet-stream", b"application/x-www-form-urlencoded"


def scope(*headers: tuple[bytes, bytes], method: str = "POST") -> Scope:
    return {"type": "http", "method": method, "headers": list(headers)}


@pytest.mark.parametrize("kind", ["infer", "load", "unload", "server", "index", "model", "predict", "chat"])
@pytest.mark.parametrize("given", [FORM, b"text/plain", b"multipart/form-data; boundary=a", b"a" * 9000])
def test_a_body_that_a_web_page_or_curl_sends_by_default_is_no_v2_request(kind: Kind, given: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        check_headers(kind, scope((b"content-type", given)))
    assert raised.value.status == 415


@pytest.mark.parametrize("kind", ["infer", "load", "server", "image"])
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"gzip, gzip", b"identity, gzip", b"x"])
def test_an_encoded_body_could_unpack_to_more_than_the_limit(kind: Kind, encoding: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        check_headers(kind, scope((b"content-encoding", encoding)))
    assert raised.value.status == 415


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("infer", ()),
        ("infer", ((b"content-type", b"Application/JSON ; charset=utf-8"), (b"content-encoding", b"Identity"))),
        ("infer", ((b"content-type", BINARY), (HEADER_LENGTH, b"10"))),
        ("infer", ((b"content-type", b"image/png"),)),
        ("image", ((b"content-type", b"multipart/form-data; boundary=a"),)),
        ("load", ((b"content-type", JSON),)),
    ],
)
def test_what_clients_send_passes(kind: Kind, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    check_headers(kind, scope(*headers))


@pytest.mark.parametrize("name", [b"content-type", b"content-encoding", HEADER_LENGTH])
def test_of_two_headers_triton_could_take_the_other(name: bytes) -> None:
    with pytest.raises(ApiError, match="twice"):
        check_headers("infer", scope((name, b"identity"), (name, b"identity")))


@pytest.mark.parametrize("value", [b"-1", b"+5", b" 5", b"1e2", b"", b"abc", b"11", b"9" * 30, "\u0665".encode()])
def test_the_length_of_the_json_is_a_number_within_the_body(value: bytes) -> None:
    with pytest.raises(ApiError, match="inference-header-content-length"):
        json_length(scope((HEADER_LENGTH, value)), 10)


def test_a_body_without_a_length_of_its_json_is_json() -> None:
    assert json_length(scope(), 10) == 10
    assert json_length(scope((HEADER_LENGTH, b"10")), 10) == 10
    assert json_length(scope((HEADER_LENGTH, b"0")), 10) == 0  # one tensor's bytes, Triton's "raw binary request"


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 60_000 + b"]" * 60_000,
        b'{"text_input":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
        b"[" * 60_000,
        b"[{" * 30_000 + b"]}" * 30_000,
        b'["\\\\",' + b"[" * 60_000 + b"]" * 60_000 + b"]",
        b"[]" * 1_000_000,
        b"[" * 40 + b'"",' * 3_000_000,
    ],
    ids=range(8),
)
def test_deep_or_endlessly_nested_json_is_rejected_in_time(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ApiError):
        check_depth(data)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"text_input": "' + b"[" * 1000 + b'\\"' + b"{" * 1000 + b'"}',
        b'{"data": [' + b"[1, 2]," * 1000 + b"[1, 2]]}",
        b'{"a": "\\\\", "b": [' + b'"[",' * 100 + b'"]"]}',
    ],
)
def test_brackets_in_text_and_flat_rows_are_not_depth(data: bytes) -> None:
    check_depth(data)


@pytest.mark.parametrize(
    "shape",
    [
        "[1, 3, 4294967296, 4294967296]",
        "[9223372036854775807]",
        "[4611686018427387904, 4]",
        "[0, 4611686018427387904]",
        "[18446744073709551616]",
        "[2000000]",
        "[-1]",
        "[-2, -3]",
        "[1.5]",
        "[1e9]",
        '["1"]',
        "[[1]]",
        "[" + "1," * 100 + "1]",
    ],
)
@pytest.mark.parametrize("key", ['"shape"', '"sh\\u0061pe"', '"\\u0073\\u0068\\u0061\\u0070\\u0065"', '"shape" \n'])
def test_a_shape_that_the_body_cannot_fill_is_rejected(key: str, shape: str) -> None:
    first = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],'
    with pytest.raises(ApiError, match="shape") as raised:
        check_json(f'{first}{key}:{shape},"data":[]}}]}}'.encode(), 1000)
    assert raised.value.status == 400


@pytest.mark.parametrize("shape", ["[]", "[0]", "[1, 3, 0, 4]", "[1000000]", "[ 1 , 2 ]"])
def test_shapes_of_tensors_that_can_be_are_left_to_triton(shape: str) -> None:
    check_json(f'{{"inputs":[{{"name":"x","shape":{shape}}}]}}'.encode(), 1000)


def test_as_many_elements_as_the_body_has_bytes_can_be_in_it() -> None:
    check_json(b'{"inputs":[{"name":"x","shape":[2000000]}]}', 2_000_000)


def test_text_that_reads_like_a_shape_is_text() -> None:
    check_json(b'{"inputs":[{"name":"x","shape":[1],"data":["{\\"shape\\": [-1]}"]}]}', 1000)


def test_a_request_with_endless_shapes_is_rejected() -> None:
    with pytest.raises(ApiError, match="10000 shapes"):
        check_json(b'"shape":[1]' * 10_001, 1000)


@pytest.mark.parametrize("parameters", [b"5", b"[]", b"null", b'"a"'])
def test_parameters_of_generate_are_an_object(parameters: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        check_parameters(b'{"text_input": "a", "parameters": %b}' % parameters)
    assert (raised.value.status, raised.value.param) == (400, "parameters")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"text_input": "a"}', b'{"parameters": {"a": [1], "b": "c"}}'])
def test_what_else_is_asked_of_generate_is_for_triton(body: bytes) -> None:
    check_parameters(body)
