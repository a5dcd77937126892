import orjson
import pytest

from predictors.vision.triton.client import error_message, load_reason, logged_reason


def test_tritons_reason_is_told_without_what_means_nothing_to_the_client() -> None:
    assert error_message(b'{"error": "[request id: <id_unknown>] no such input\\n"}') == "no such input"
    assert error_message(b"<html>") == "Triton gave no reason"


def test_why_a_model_in_python_cannot_be_loaded_names_the_line_of_its_code_and_no_other_path() -> None:
    said = "load failed for model 'm': version 1 is at UNAVAILABLE state: Internal: ValueError: boom"
    called = "\n\nAt:\n  /usr/lib/python3.11/json/decoder.py(355): raw_decode"
    frames = "\n  /data/.objects/vision/m/0a1b/1/model.py(7): initialize\n  /data/.objects/m/1/model.py(3): outer\n"
    assert load_reason(said + called + frames) == f"{said} (1/model.py line 7)"
    assert load_reason(said + called) == said
    assert load_reason("  no version 1/model.py(7): \n") == "no version 1/model.py(7):"


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("ValueError: a prompt\n\nAt:\n  /models/m/1/model.py(9): execute\n", "ValueError (1/model.py line 9)"),
        ("Failed to process the request(s) for model 'm_0_0', message: KeyError: 'a prompt'", "KeyError"),
        ("onnx runtime error 2: cannot cast a prompt", "onnx runtime error 2"),
    ],
)
def test_the_log_has_a_failures_kind_and_place_and_nothing_that_it_quotes(said: str, logged: str) -> None:
    assert logged_reason(orjson.dumps({"error": said})) == logged


def test_a_failure_without_a_reason_is_said_to_have_none() -> None:
    assert logged_reason(b"no JSON") == "Triton gave no reason"
