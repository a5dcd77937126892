"""What Triton says, as its clients read it: with a code of ours, and not as a failure where the request is wrong."""

import json

import pytest

from predictors.vision.errors import of_triton
from predictors.vision.triton.client import error_message

# Triton's status and sentence (2.51), and the status, code and sentence that become of them
SAID: list[tuple[int, str, int, str, str]] = [
    (
        500,
        "failed to parse the request JSON buffer: Invalid value. at 0",
        400,
        "invalid_json",
        "the body is not JSON: ",
    ),
    (
        *(500, "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        *(400, "invalid_value", "inputs cannot be read: 'inputs' is missing"),
    ),
    (
        *(500, "Unable to parse 'shape': attempt to access JSON non-array as array"),
        *(400, "invalid_value", "shape cannot be read: it must be of type array"),
    ),
    (
        *(500, "Unable to parse 'data': attempt to access JSON non-number as double"),
        *(400, "invalid_value", "data cannot be read: it must be of type number"),
    ),
    (
        *(500, "Unable to parse 'data': Shape does not match true shape of 'data' field"),
        *(400, "invalid_value", "data cannot be read: Shape does not match"),
    ),
    (
        *(500, "failed to get request params.: attempt to get members for non-object"),
        *(400, "invalid_value", "the request cannot be read: it must be of type object"),
    ),
    (
        *(500, "attempt to get members for non-object"),
        *(400, "invalid_value", "the request cannot be read: it must be of type object"),
    ),
    (
        *(400, "[request id: <id_unknown>] expected 1 inputs but got 0"),
        *(400, "invalid_value", "expected 1 inputs but got 0"),
    ),
    (404, "Request for unknown model: 'm' version 9 is not found", 404, "model_not_found", "Request for unknown model"),
    (
        *(503, "Request for unknown model: 'm' version 1 is not at ready state", 404, "model_not_found"),
        "version 1 of model 'm' is not served; GET /v2/models/m lists the versions that are",
    ),
    (503, "exceeds maximum queue size", 503, "overloaded", "exceeds maximum queue size"),
    (
        *(
            500,
            "onnx runtime error 6: Non-zero status code returned while running Add node. Name:'a' /src/b.h:5 f(int)",
        ),
        *(500, "model_error", "ONNX Runtime's operator Add cannot compute with these inputs"),
    ),
    (500, "ValueError: no\n\nAt:\n  /models/m/1/model.py(9): execute\n", 500, "model_error", "ValueError: no"),
]


@pytest.mark.parametrize(("status", "said", "expected", "code", "sentence"), SAID, ids=[row[1][:40] for row in SAID])
def test_tritons_errors_have_codes_and_say_whose_fault_they_are(
    status: int, said: str, expected: int, code: str, sentence: str
) -> None:
    error = of_triton(status, error_message(json.dumps({"error": said}).encode()))
    assert (error.status, error.code, error.message.startswith(sentence)) == (expected, code, True), error.message
    assert not [
        words for words in ("At:", "/src/", "attempt to", "id_unknown", "JSON buffer") if words in error.message
    ]
