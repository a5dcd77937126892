"""Vision through the whole platform: pictures and tensors in at the gateway, Triton awake only while it is asked."""

import asyncio
import base64
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.live.platform import Platform, http_client, metric
from tests.live.processes import DEADLINE, ROOT, alive, descendants, eventually, processes_of

pytestmark = pytest.mark.live

WINDOW = "4s"
PICTURE = ROOT / "tests/testdata/pictures/car.jpg"
TEXT = "5AU5341"


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=platform.url, timeout=DEADLINE, trust_env=False) as made:
        yield made


def image(library: object) -> object:
    """The picture as V2's tensor, by either of Triton's clients."""
    tensor = library.InferInput("image", [1], "BYTES")  # type: ignore[attr-defined]
    tensor.set_data_from_numpy(np.array([PICTURE.read_bytes()], dtype=np.object_))
    return tensor


def texts(answer: object) -> list[str]:
    found = answer.as_numpy("text")  # type: ignore[attr-defined]
    return [line.decode() for line in found.reshape(-1).tolist()]


async def test_many_clients_wake_triton_once_and_it_sleeps_again(platform: Platform, client: httpx.AsyncClient) -> None:
    await asyncio.to_thread(eventually, lambda: platform.model("ocr")["state"] == "asleep", "ocr sleeps")
    before = metric(platform.record()["control"], "local_starts_total", 'model="vision"')
    headers = {"content-type": "image/jpeg", "accept": "text/plain"}
    asked = [client.post("/v1/ocr", content=PICTURE.read_bytes(), headers=headers) for _ in range(12)]
    answers = await asyncio.gather(*asked)
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, TEXT)] * 12
    assert metric(platform.record()["control"], "local_starts_total", 'model="vision"') == before + 1
    pod = [platform.row("vision")["pid"], *(pid for pid in platform.processes() if _is_triton(pid))]
    assert len(pod) > 1
    await asyncio.to_thread(eventually, lambda: platform.model("ocr")["state"] == "asleep", "it sleeps again")
    await asyncio.to_thread(eventually, lambda: not any(map(alive, pod)), "neither container is left")


async def test_an_image_may_come_in_every_form(client: httpx.AsyncClient) -> None:
    data = PICTURE.read_bytes()
    coded = base64.b64encode(data).decode()
    whole = await client.post("/v1/ocr", content=data, headers={"content-type": "image/jpeg"})
    assert whole.json()["text"] == TEXT
    assert whole.json()["lines"][0]["score"] > 0.9
    assert (await client.post("/v1/ocr", files={"image": ("car.jpg", data, "image/jpeg")})).json() == whole.json()
    assert (await client.post("/v1/ocr", json={"image": coded})).json() == whole.json()
    uri = {"image": f"data:image/jpeg;base64,{coded}"}
    assert (await client.post("/v1/vision/ocr", json=uri)).json() == whole.json()
    predicted = await client.post("/v1/models/ocr:predict", json={"instances": [{"image": {"b64": coded}}]})
    assert predicted.json()["predictions"][0]["text"] == TEXT


async def test_what_is_no_image_is_rejected_and_nothing_breaks(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "image/jpeg"}
    for data in (b"", b"not a picture", PICTURE.read_bytes()[:20_000]):
        rejected = await client.post("/v1/ocr", content=data, headers=headers)
        assert 400 <= rejected.status_code < 500, rejected.text
        assert len(rejected.json()["error"]["message"]) > 20
    answer = await client.post("/v1/ocr", content=PICTURE.read_bytes(), headers=headers)
    assert answer.json()["text"] == TEXT


def test_tritons_http_client_finds_its_server_behind_the_gateway(platform: Platform) -> None:
    with triton_http.InferenceServerClient(platform.url.removeprefix("http://"), network_timeout=DEADLINE) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("ocr")
        assert {"ocr", "image-decode"} <= {row["name"] for row in client.get_model_repository_index()}
        assert client.get_model_metadata("ocr")["inputs"][0]["name"] == "image"
        assert client.get_model_config("ocr")["name"] == "ocr"
        assert texts(client.infer("ocr", [image(triton_http)])) == [TEXT]
        (statistics,) = client.get_inference_statistics("ocr")["model_stats"]
        assert statistics["inference_stats"]["success"]["count"] >= 1
        assert {row["name"] for row in client.get_inference_statistics()["model_stats"]} >= {"ocr"}
        client.unload_model("ocr")
        assert not client.is_model_ready("ocr")
        client.load_model("ocr")
        assert client.is_model_ready("ocr")
        assert texts(client.infer("ocr", [image(triton_http)])) == [TEXT]
        with pytest.raises(InferenceServerException, match="does not exist"):
            client.infer("nothing", [image(triton_http)])
        with pytest.raises(InferenceServerException, match="of kind graph"):
            client.unload_model("auto")


def test_tritons_grpc_client_finds_its_server_behind_the_gateway(platform: Platform) -> None:
    with triton_grpc.InferenceServerClient(platform.grpc_target) as client:
        assert client.is_server_live()
        assert client.is_model_ready("ocr")
        assert texts(client.infer("ocr", [image(triton_grpc)], client_timeout=DEADLINE)) == [TEXT]
        assert client.get_model_metadata("ocr").outputs[0].name == "text"
        assert client.get_model_config("ocr").config.name == "ocr"
        assert client.get_inference_statistics("ocr").model_stats[0].inference_stats.success.count >= 1
        client.unload_model("ocr")
        assert not client.is_model_ready("ocr")
        client.load_model("ocr")
        assert texts(client.infer("ocr", [image(triton_grpc)], client_timeout=DEADLINE)) == [TEXT]


async def test_a_stream_of_images_gets_a_stream_of_responses(platform: Platform) -> None:
    async def asked() -> AsyncIterator[dict[str, object]]:
        for number in range(3):
            yield {"model_name": "ocr", "inputs": [image(triton_grpc_aio)], "request_id": str(number)}

    async with triton_grpc_aio.InferenceServerClient(platform.grpc_target) as client:
        seen = [(result.get_response().id, error) async for result, error in client.stream_infer(asked())]
    assert seen == [("0", None), ("1", None), ("2", None)]


async def test_triton_killed_under_load_costs_no_response(platform: Platform, client: httpx.AsyncClient) -> None:
    async def read() -> str:
        answer = await client.post("/v1/ocr", content=PICTURE.read_bytes(), headers={"content-type": "image/jpeg"})
        return str(answer.json().get("text", answer.status_code))

    assert await read() == TEXT
    before = platform.row("vision")["pid"]
    asked = [asyncio.ensure_future(read()) for _ in range(6)]
    await asked[0]
    os.kill(next(pid for pid in platform.processes() if _is_triton(pid)), signal.SIGKILL)
    answers = await asyncio.gather(*asked)
    assert set(answers) <= {TEXT, "502", "503"}, answers
    assert await read() == TEXT
    assert platform.row("vision")["pid"] != before


def test_a_killed_process_of_a_model_is_replaced_while_triton_and_its_pod_go_on(
    platform: Platform, record_property: Callable[[str, object], None]
) -> None:
    with http_client(platform) as client:

        def reads() -> bool:
            answer = client.post("/v1/ocr", content=PICTURE.read_bytes(), headers={"content-type": "image/jpeg"})
            return answer.status_code == 200 and answer.json()["text"] == TEXT

        assert reads()
        pod, triton = platform.row("vision")["pid"], next(pid for pid in platform.processes() if _is_triton(pid))
        killed = processes_of(triton, "ocr-detection")
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        eventually(reads, "text again")
        record_property("seconds until it was replaced", time.monotonic() - began)  # benchmarks.models.replacement
        replaced = processes_of(triton, "ocr-detection")
        assert replaced
        assert replaced.isdisjoint(killed)
    assert platform.row("vision")["pid"] == pod
    assert alive(triton)


def test_metrics_of_predictor_and_triton_are_on_one_page(platform: Platform) -> None:
    with http_client(platform) as client:
        headers = {"content-type": "image/jpeg"}
        assert client.post("/v1/ocr", content=PICTURE.read_bytes(), headers=headers).status_code == 200
    url = platform.predictor_url("ocr")
    assert metric(url, "inference_requests_total", 'model="ocr"', 'outcome="ok"') >= 1
    assert metric(url, "nv_inference_request_success", 'model="ocr"') >= 1


def test_what_sleeps_has_left_no_process(platform: Platform) -> None:
    eventually(lambda: platform.model("ocr")["state"] == "asleep", "ocr sleeps")
    eventually(lambda: not [pid for pid in platform.processes() if _is_triton(pid)], "Triton is gone")
    assert [pid for pid in descendants(platform.row("gateway")["pid"]) if _is_triton(pid)] == []


def _is_triton(pid: int) -> bool:
    try:
        return "tritonserver" in "".join(psutil.Process(pid).cmdline()[:1])
    except psutil.Error:
        return False
