"""The one table between HTTP's statuses and gRPC's, held against gRPC's own numbers."""

import base64
from urllib.parse import unquote_to_bytes

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.api_errors import CODES, ApiError
from switchyard.rpc import status
from switchyard.rpc.status import RpcError, RpcStatus


def test_numbers_and_names_are_grpcs() -> None:
    assert {one.name: one.value for one in RpcStatus} == {one.name: one.value[0] for one in grpc.StatusCode}


@pytest.mark.parametrize(
    ("http", "name"),
    [
        (200, "OK"),
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (405, "UNIMPLEMENTED"),
        (408, "DEADLINE_EXCEEDED"),
        (409, "FAILED_PRECONDITION"),
        (413, "RESOURCE_EXHAUSTED"),
        (415, "UNIMPLEMENTED"),
        (422, "INVALID_ARGUMENT"),  # no row of its own: as its class
        (429, "RESOURCE_EXHAUSTED"),
        (431, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
        (599, "INTERNAL"),
    ],
)
def test_an_error_of_http_has_a_status_in_grpc(http: int, name: str) -> None:
    assert status.of_http(http).name == name


def test_every_status_has_one_in_http_whose_class_says_whose_fault_it_is() -> None:
    theirs = {one for one in RpcStatus if 400 <= status.to_http(one) < 500}
    assert theirs == {
        RpcStatus.CANCELLED,
        RpcStatus.INVALID_ARGUMENT,
        RpcStatus.NOT_FOUND,
        RpcStatus.ALREADY_EXISTS,
        RpcStatus.PERMISSION_DENIED,
        RpcStatus.RESOURCE_EXHAUSTED,
        RpcStatus.FAILED_PRECONDITION,
        RpcStatus.ABORTED,
        RpcStatus.OUT_OF_RANGE,
        RpcStatus.UNAUTHENTICATED,
    }
    assert status.to_http(RpcStatus.OK) == 200


@pytest.mark.parametrize("http", [400, 401, 404, 409, 429, 499, 500, 501, 503, 504])
def test_what_both_have_is_the_same_there_and_back(http: int) -> None:
    assert status.to_http(status.of_http(http)) == http


@pytest.mark.parametrize(
    ("http", "name"), [(400, "INTERNAL"), (404, "UNIMPLEMENTED"), (503, "UNAVAILABLE"), (302, "UNKNOWN")]
)
def test_a_response_without_a_status_is_judged_as_grpcs_clients_do(http: int, name: str) -> None:
    assert status.of_http_response(http).name == name


@pytest.mark.parametrize(
    ("value", "name"),
    [(b"0", "OK"), (b"14", "UNAVAILABLE"), (b"99", "UNKNOWN"), (b"-1", "UNKNOWN"), (b"", "UNKNOWN"), (b"x", "UNKNOWN")],
)
def test_a_status_that_is_none_is_unknown(value: bytes, name: str) -> None:
    assert status.of_number(value).name == name


def test_an_error_of_the_api_says_when_to_try_again() -> None:
    made = status.rpc_error(ApiError("overloaded", "too much", retry_after=1.2))
    assert (made.status, made.message) == (RpcStatus.UNAVAILABLE, "too much")
    told, details, retry = dict(made.metadata), status_pb2.Status(), error_details_pb2.RetryInfo()
    assert (told[b"retry-after"], told[b"grpc-retry-pushback-ms"]) == (b"2", b"2000")
    details.ParseFromString(base64.b64decode(told[b"grpc-status-details-bin"] + b"=="))
    assert (details.code, details.message) == (RpcStatus.UNAVAILABLE, "too much")
    assert details.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 2
    assert status.is_retried(made.metadata)
    assert status.rpc_error(ApiError("not_found", "no such thing")).metadata == ()


@pytest.mark.parametrize(
    "error",
    [ApiError("model_failed", "no weights", final=True), ApiError("insufficient_quota", "none today", retry_after=61)],
    ids=["time ends it not", "that is too long to wait for"],
)
def test_an_error_that_waiting_does_not_end_is_not_repeated_by_libraries(error: ApiError) -> None:
    made = status.rpc_error(error)
    assert dict(made.metadata)[b"grpc-retry-pushback-ms"] == b"-1"
    assert (b"grpc-status-details-bin" in dict(made.metadata)) == (not error.final)
    assert not status.is_retried(made.metadata)


@pytest.mark.parametrize("one", list(RpcStatus))
def test_every_error_of_grpc_has_a_code_of_the_api(one: RpcStatus) -> None:
    code, message = status.api_code(RpcError(one, "why"))
    assert code in CODES
    assert message == "why"


@given(st.text(max_size=300))
def test_a_message_is_read_as_it_was_written(text: str) -> None:
    encoded = status.encode_message(text)
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert unquote_to_bytes(encoded).decode(errors="replace") == text.encode(errors="replace").decode()


def test_a_long_message_is_cut_so_that_clients_take_it() -> None:
    assert len(status.encode_message("ä" * 100_000)) <= 4096
