"""The application, in front of small ASGI applications that stand where vLLM's and KServe's stand."""

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from predictors.serving.admission import Admission
from predictors.serving.application import Application
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer


class Client:
    """One HTTP exchange with an ASGI application, the connection included."""

    def __init__(self, path: str, method: str = "POST") -> None:
        self.scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})

    def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def ask(self, app: App) -> None:
        await app(self.scope, self._incoming.get, self._send)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def answering(status: int, seen: list[Scope] | None = None) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if seen is not None:
            seen.append(scope)
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return app


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await asyncio.Event().wait()


class Setup:
    def __init__(self, *, openai: App = never, kserve: App = never, limit: int = 2) -> None:
        self.registry = CollectorRegistry()
        self.admission = Admission("m", limit, InferenceMetrics(self.registry), DisabledTracer())
        self.application = Application(openai=openai, kserve=kserve, admission=self.admission)

    def counted(self, protocol: str, outcome: str) -> float:
        labels = {"model": "m", "protocol": protocol, "outcome": outcome}
        return self.registry.get_sample_value("inference_requests_total", labels) or 0.0

    def in_flight(self) -> float:
        return self.registry.get_sample_value("inference_requests_in_flight", {"model": "m"}) or 0.0


async def test_openai_paths_go_to_vllm_with_their_mount_point() -> None:
    seen: list[Scope] = []
    client = Client("/openai/v1/models")
    await client.ask(Setup(openai=answering(200, seen)).application)
    assert seen[0]["root_path"] == "/openai"
    assert seen[0]["path"] == "/openai/v1/models"


@pytest.mark.parametrize(
    ("action", "status", "body"), [("load", 200, b""), ("unload", 501, b"unloaded when the process ends")]
)
async def test_the_one_model_of_a_process_is_loaded_and_nobody_unloads_it(
    action: str, status: int, body: bytes
) -> None:
    seen: list[Scope] = []
    client = Client(f"/v2/repository/models/m/{action}")
    await client.ask(Setup(kserve=answering(200, seen)).application)
    assert client.status == status
    assert body in client.sent[1]["body"]
    assert not seen


@pytest.mark.parametrize("path", ["/v2/models/m/infer", "/metrics", "/"])
async def test_all_other_paths_go_to_kserve_untouched(path: str) -> None:
    seen: list[Scope] = []
    await Client(path).ask(Setup(kserve=answering(200, seen)).application)
    assert seen[0]["path"] == path
    assert "root_path" not in seen[0]


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (404, "rejected"), (503, "failed")])
async def test_a_response_is_counted_by_its_status(status: int, outcome: str) -> None:
    setup = Setup(openai=answering(status))
    await Client("/openai/v1/completions").ask(setup.application)
    assert setup.counted("openai", outcome) == 1
    assert setup.in_flight() == 0


async def test_requests_beyond_the_limit_are_rejected_in_the_callers_protocol_and_told_when_to_return() -> None:
    setup = Setup(limit=1)
    waiting = asyncio.ensure_future(Client("/openai/v1/completions").ask(setup.application))
    while setup.in_flight() < 1:
        await asyncio.sleep(0)
    openai, v2, anthropic = (
        Client("/openai/v1/completions"),
        Client("/v2/models/m/infer"),
        Client("/openai/v1/messages"),
    )
    for client in (openai, v2, anthropic):
        await client.ask(setup.application)
    assert (openai.status, v2.status, anthropic.status) == (503, 503, 503)
    assert (b"retry-after", b"1") in openai.sent[0]["headers"]
    assert json.loads(openai.sent[1]["body"])["error"]["code"] == "overloaded"
    assert isinstance(json.loads(v2.sent[1]["body"])["error"], str)
    assert json.loads(anthropic.sent[1]["body"])["error"]["type"] == "overloaded_error"
    waiting.cancel()


async def test_a_rejection_of_kserves_also_says_when_to_return() -> None:
    client = Client("/v2/models/m/infer")
    await client.ask(Setup(kserve=answering(503)).application)
    assert (b"retry-after", b"1") in client.sent[0]["headers"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], b"application/json"),
        ([(b"content-type", b"application/x-www-form-urlencoded")], b"application/json"),
        ([(b"inference-header-content-length", b"9"), (b"content-type", b"application/octet-stream")], None),
    ],
)
async def test_a_v2_request_without_binary_tensors_is_json_whatever_it_is_called(
    headers: list[tuple[bytes, bytes]], expected: bytes | None
) -> None:
    seen: list[Scope] = []
    client = Client("/v2/models/m/infer")
    client.scope["headers"] = headers
    await client.ask(Setup(kserve=answering(200, seen)).application)
    types = [value for name, value in seen[0]["headers"] if name == b"content-type"]
    assert types == [expected or b"application/octet-stream"]


async def test_reading_metrics_takes_no_place() -> None:
    setup = Setup(kserve=answering(200), limit=1)
    with setup.admission.enter():
        client = Client("/metrics", method="GET")
        await client.ask(setup.application)
    assert client.status == 200


async def test_a_v2_client_that_disconnects_ends_the_work_at_once() -> None:
    ended = asyncio.Event()

    async def working(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    setup = Setup(kserve=working)
    client = Client("/v2/models/m/infer")
    client.disconnect()
    await asyncio.wait_for(client.ask(setup.application), 5)
    assert ended.is_set()
    assert setup.counted("v2", "cancelled") == 1
    assert setup.in_flight() == 0


@pytest.mark.parametrize("begins", [False, True], ids=["before the response", "in its middle"])
async def test_an_openai_client_that_disconnects_is_counted_as_cancelled(begins: bool) -> None:
    async def as_vllm(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        if not begins:  # FastAPI responds ``null`` when vLLM's handler gives up
            await answering(200)(scope, receive, send)

    setup, client = Setup(openai=as_vllm), Client("/openai/v1/completions")
    for _ in range(3):
        client.disconnect()
    await asyncio.wait_for(client.ask(setup.application), 5)
    assert (setup.counted("openai", "cancelled"), setup.counted("openai", "ok")) == (1, 0)


async def test_a_client_that_disconnects_after_the_whole_response_is_not_cancelled() -> None:
    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await answering(200)(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    setup, client = Setup(openai=listening), Client("/openai/v1/completions")
    client.disconnect()
    await asyncio.wait_for(client.ask(setup.application), 5)
    assert setup.counted("openai", "ok") == 1


async def test_a_server_that_is_stopped_ends_the_work_it_runs() -> None:
    setup = Setup()
    asking = asyncio.ensure_future(Client("/v2/models/m/infer").ask(setup.application))
    while setup.in_flight() < 1:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert setup.in_flight() == 0


def test_a_place_is_given_back_when_the_work_fails() -> None:
    admission = Setup(limit=1).admission
    with pytest.raises(ZeroDivisionError), admission.enter():
        raise ZeroDivisionError
    with admission.enter(), pytest.raises(ApiError, match="1 requests are in flight"), admission.enter():
        pass
