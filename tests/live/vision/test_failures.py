"""What goes wrong between client, predictor and Triton: too much at once, clients that leave, Triton that dies."""

import http.client
import json
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from tests.live.processes import ROOT, alive, eventually, fetch, processes_of
from tests.live.vision.asking import echo, picture, send
from tests.live.vision.processes import Triton, Vision

pytestmark = pytest.mark.live

CAR = ROOT / "tests" / "testdata" / "pictures" / "car.jpg"


@pytest.fixture
def own(triton: Triton, folder: Path) -> Iterator[Triton]:
    """A Triton that a test may kill."""
    started = Triton(triton.repository, folder)
    yield started
    started.stop()


@pytest.fixture
def mine(own: Triton, folder: Path) -> Iterator[Vision]:
    """A predictor that a test may stop."""
    started = Vision(own, folder)
    yield started.wait_ready()
    started.stop()


@pytest.fixture(scope="module")
def damaged(triton: Triton, folder: Path) -> Iterator[tuple[Triton, Vision]]:
    """A Triton whose processes are killed: to stop it would take all of its exit timeout."""
    started = Triton(triton.repository, folder)
    vision = Vision(started, folder)
    yield started, vision.wait_ready()
    vision.stop()
    started.kill()


X = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
UNREADABLE: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"{", "invalid_json", "the body is not JSON"),
    "a BOM": (b"\xef\xbb\xbf{}", "invalid_json", "byte order mark"),
    "a list": (b"[1]", "invalid_value", "inputs cannot be read: 'inputs' is missing"),
    "nothing in it": (b"{}", "invalid_value", "inputs cannot be read: 'inputs' is missing"),
    "an object for a list": (b'{"inputs": {}}', "invalid_value", "inputs cannot be read: it must be of type array"),
    "a wrong shape": (json.dumps({"inputs": [{**X, "shape": [2]}]}).encode(), "invalid_value", "data cannot be read: "),
    "a wrong id": (json.dumps({"id": 5, "inputs": [X]}).encode(), "invalid_value", "id cannot be read: it must be of"),
    "a wrong type": (json.dumps({"inputs": [{**X, "datatype": "X"}]}).encode(), "invalid_value", "invalid datatype"),
}


@pytest.mark.parametrize(("body", "code", "sentence"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_request_that_triton_cannot_read_is_its_clients_fault(
    vision: Vision, body: bytes, code: str, sentence: str
) -> None:
    status, answer = fetch(f"{vision.url}/v2/models/echo/infer", raw=body)
    error = json.loads(answer)
    assert (status, error["code"], sentence in error["error"]) == (400, code, True), error


def test_an_id_may_look_like_a_datatype(vision: Vision) -> None:
    for identifier in ("BYTES", '"datatype":"BYTES"'):
        status, answer = fetch(f"{vision.url}/v2/models/echo/infer", {"id": identifier, "inputs": [X]})
        assert (status, json.loads(answer)["id"]) == (200, identifier)


def in_flight(vision: Vision) -> float:
    return vision.metric("inference_requests_in_flight", 'model="slow"')


def test_what_is_too_much_at_once_is_told_when_to_return(vision: Vision) -> None:
    assert echo(vision, 0, model="slow")[0] == 200
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(echo, vision, 2, model="slow") for _ in range(4)]
        eventually(lambda: in_flight(vision) == 4, "four requests in flight")
        with closing(http.client.HTTPConnection("127.0.0.1", vision.http, timeout=60)) as connection:
            connection.request("POST", "/v2/models/slow/infer", b"{}")
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("retry-after")) == (503, "1")
            assert "4 requests are in flight" in json.loads(answer.read())["error"]
        assert fetch(f"{vision.url}/v2/models/echo")[0] == 200
        assert [one.result()[0] for one in slow] == [200] * 4


def test_a_client_that_disconnects_is_counted_and_leaves_nothing_behind(vision: Vision) -> None:
    assert echo(vision, 0, model="slow")[0] == 200
    labels = ('model="slow"', 'outcome="cancelled"')
    before = vision.metric("inference_requests_total", *labels)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [3]}
    with closing(http.client.HTTPConnection("127.0.0.1", vision.http, timeout=60)) as connection:
        connection.request("POST", "/v2/models/slow/infer", json.dumps({"inputs": [tensor]}))
        eventually(lambda: in_flight(vision) == 1, "the request in flight")
    eventually(lambda: in_flight(vision) == 0, "the request gone")
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{vision.grpc}")) as client:
        asked = tritonclient.grpc.InferInput("x", [1], "FP32")
        asked.set_data_from_numpy(np.array([3], np.float32))
        call = client.async_infer("slow", [asked], lambda result, error: None)
        eventually(lambda: in_flight(vision) == 1, "the call in flight")
        call.cancel()
    eventually(lambda: vision.metric("inference_requests_total", *labels) == before + 2, "both counted")


def test_while_triton_is_gone_requests_are_told_and_afterwards_answered(own: Triton, mine: Vision) -> None:
    assert echo(mine, 1)[0] == 200
    own.kill()
    eventually(lambda: not mine.ready(), "not ready")
    status, body = echo(mine, 1)
    assert (status, "Triton does not respond" in body["error"]) == (503, True)
    with grpc.insecure_channel(f"127.0.0.1:{mine.grpc}") as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as raised:
            ask(b"\n\x04echo", timeout=10)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    own.start_again()
    eventually(mine.ready, "ready again")
    assert echo(mine, 2)[1]["outputs"][0]["data"] == [2]
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{mine.grpc}")) as client:
        eventually(lambda: client.is_model_ready("echo"), "gRPC has found Triton again")


def workers(triton: Triton, model: str) -> set[int]:
    found = processes_of(triton.process.pid, model)
    assert found
    return found


def by_call(vision: Vision) -> bool:
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{vision.grpc}")) as client:
        return worked(lambda: client.infer("echo", [one()]))


def by_stream(vision: Vision) -> bool:
    answers: queue.Queue[Any] = queue.Queue()
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{vision.grpc}")) as client:
        client.start_stream(lambda result, error: answers.put(error))
        client.async_stream_infer("echo", [one()])
        return answers.get(timeout=20) is None


def one() -> tritonclient.grpc.InferInput:
    tensor = tritonclient.grpc.InferInput("x", [1], "FP32")
    tensor.set_data_from_numpy(np.ones(1, np.float32))
    return tensor


def worked(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except InferenceServerException:
        return False
    return True


def sent(vision: Vision, model: str, data: bytes, kind: str) -> bool:
    return send(vision, f"/v1/vision/{model}", data, kind)[0] == 200


ASKING: dict[str, tuple[str, Callable[[Vision], bool]]] = {
    "http": ("echo", lambda vision: echo(vision, 1)[0] == 200),
    "grpc": ("echo", by_call),
    "grpc stream": ("echo", by_stream),
    "an image's decoder": ("image-decode", lambda at: sent(at, "colors", picture("red"), "image/png")),
    "a step": ("ocr-direction", lambda at: sent(at, "ocr", CAR.read_bytes(), "image/jpeg")),
}


@pytest.mark.parametrize("how", ASKING)
def test_a_model_whose_process_is_killed_is_replaced_within_five_seconds(
    damaged: tuple[Triton, Vision], how: str
) -> None:
    triton, vision = damaged
    model, ask = ASKING[how]
    assert ask(vision)
    killed, seen = workers(triton, model), vision.logged(f"process of model {model} has ended")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert not ask(vision)
    began = time.monotonic()
    eventually(lambda: ask(vision), "works again")
    assert time.monotonic() - began < 5
    assert vision.status(f"/v2/models/{model}/ready") == 200
    assert not workers(triton, model) & killed
    assert vision.logged(f"process of model {model} has ended") == seen + 1


def test_a_triton_that_a_process_of_a_model_outlives_is_seen_within_five_seconds(own: Triton, mine: Vision) -> None:
    assert fetch(f"{mine.url}/v2/models/stream/generate", {"text_input": "a"})[0] == 200
    (orphan,) = workers(own, "stream")
    os.kill(orphan, signal.SIGSTOP)  # or it may see the end of Triton first, and end too
    try:
        own.process.kill()
        own.process.wait()
        eventually(lambda: not mine.ready(), "not ready")
        assert alive(orphan)  # it holds the connections of Triton that it inherited
        own.start_again()
        eventually(mine.ready, "ready again")
        assert echo(mine, 2)[0] == 200
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_restart_that_nobody_saw_is_noticed(own: Triton, mine: Vision) -> None:
    assert echo(mine, 1)[0] == 200
    own.kill()
    own.start_again()
    eventually(lambda: echo(mine, 2)[0] == 200, "answers again")
    assert mine.logged("Triton is gone") == 1
    assert mine.logged("loaded echo") == 2


def test_a_stopping_predictor_answers_what_it_has_begun(mine: Vision) -> None:
    assert echo(mine, 0, model="slow")[0] == 200
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(echo, mine, 2, model="slow")
        eventually(lambda: in_flight(mine) == 1, "the request in flight")
        os.kill(mine.process.pid, signal.SIGTERM)
        assert slow.result()[0] == 200
    began = time.monotonic()
    assert mine.process.wait(30) == 0
    assert time.monotonic() - began < 10


def test_without_triton_the_predictor_is_live_but_not_ready(own: Triton, folder: Path) -> None:
    own.stop()
    vision = Vision(own, folder)
    try:
        eventually(lambda: vision.status("/v2/health/live") == 200, "live")
        assert vision.status("/v2/health/ready") == 503
        assert echo(vision, 1)[0] == 503
        assert b"inference_" in fetch(f"{vision.url}/metrics")[1]
        own.start_again()
        vision.wait_ready()
        assert vision.logged('"phase":"ready"') == 1
        assert vision.metric("model_load_time_seconds", 'phase="load"') > 0
    finally:
        vision.stop()


def test_one_page_has_the_metrics_of_the_predictor_and_of_triton(vision: Vision) -> None:
    assert echo(vision, 1)[0] == 200
    assert echo(vision, 1, model="nobody")[0] == 404
    assert vision.metric("inference_requests_total", 'model="echo"', 'protocol="v2"', 'outcome="ok"') >= 1
    assert vision.metric("inference_requests_total", 'model="unknown"', 'outcome="rejected"') >= 1
    assert vision.metric("nv_inference_request_success", 'model="echo"') >= 1
