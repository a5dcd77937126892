from tritonclient.grpc import service_pb2

from predictors.vision.triton.client import control_request, error_message


def test_a_load_request_is_what_tritons_own_client_sends() -> None:
    request = service_pb2.RepositoryModelLoadRequest(model_name="m")
    request.parameters["config"].string_param = "{}"
    assert control_request("m", {"config": "{}"}) == request.SerializeToString()


def test_false_is_sent_and_not_left_out() -> None:
    made = control_request("m", {"unload_dependents": False})
    read = service_pb2.RepositoryModelUnloadRequest.FromString(made)
    assert read.parameters["unload_dependents"].WhichOneof("parameter_choice") == "bool_param"
    assert not read.parameters["unload_dependents"].bool_param


def test_tritons_reason_is_told_without_what_means_nothing_to_the_client() -> None:
    assert error_message(b'{"error": "[request id: <id_unknown>] no such input\\n"}') == "no such input"
    assert error_message(b"<html>") == "Triton gave no reason"
