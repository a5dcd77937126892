from predictors.vision.triton.client import error_message, load_reason


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
