from predictors.vision.triton.client import error_message


def test_tritons_reason_is_told_without_what_means_nothing_to_the_client() -> None:
    assert error_message(b'{"error": "[request id: <id_unknown>] no such input\\n"}') == "no such input"
    assert error_message(b"<html>") == "Triton gave no reason"
