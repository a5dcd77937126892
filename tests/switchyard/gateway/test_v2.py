"""V2 over HTTP and gRPC, with Triton's own clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from switchyard.catalog import Catalog, Model, State
from tests.switchyard.gateway.conftest import Bench, Call, Script, completion, entries, gateway


async def infer(call: Call) -> None:
    outputs = [{"name": "out", "datatype": "INT32", "shape": [1, 2], "data": [3, 4]}]
    await call.answer({"model_name": "ocr", "model_version": "1", "outputs": outputs})


async def test_tritons_http_client_infers_and_asks_for_state(tmp_path: Path) -> None:
    async with gateway(tmp_path, infer) as bench:
        client = triton_http.InferenceServerClient(bench.url.removeprefix("http://"))
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("ocr")
        assert not await client.is_model_ready("broken")
        index = {entry["name"]: entry for entry in await client.get_model_repository_index()}
        assert index["sleepy"] == {"name": "sleepy", "version": "1", "state": "READY", "reason": ""}
        assert (index["broken"]["state"], index["broken"]["reason"]) == ("UNAVAILABLE", "its weights are missing")
        tensor = triton_http.InferInput("in", [1, 2], "INT32")
        tensor.set_data_from_numpy(np.array([[1, 2]], dtype=np.int32))
        result = await client.infer("ocr", [tensor])
        assert result.as_numpy("out").tolist() == [[3, 4]]
        with pytest.raises(InferenceServerException, match="does not exist"):
            await client.infer("nope", [tensor])
        await client.close()
        asked, listed, call = bench.model.calls
        # It is awake, and only its server knows what is loaded.
        assert (asked.scope["path"], listed.scope["path"]) == ("/v2/models/ocr/ready", "/v2/repository/index")
        assert call.scope["path"] == "/v2/models/ocr/infer"
        assert b"inference-header-content-length" in call.headers  # the binary form passes as it is


@pytest.mark.parametrize(
    ("method", "path", "upstream"),
    [
        ("GET", "/v2/models/ocr", "/v2/models/ocr"),
        ("GET", "/v2/models/ocr/versions/1", "/v2/models/ocr/versions/1"),
        ("GET", "/v2/models/ocr/config", "/v2/models/ocr/config"),
        ("GET", "/v2/models/ocr/stats", "/v2/models/ocr/stats"),
        ("POST", "/v2/models/ocr/versions/2/infer", "/v2/models/ocr/versions/2/infer"),
        ("GET", "/v2/models/ocr/versions/2/config", "/v2/models/ocr/versions/2/config"),
        ("GET", "/v2/models/ocr/versions/2/stats", "/v2/models/ocr/versions/2/stats"),
        ("POST", "/v2/models/ocr/versions/2/generate", "/v2/models/ocr/versions/2/generate"),
        ("POST", "/v2/models/ocr/generate_stream", "/v2/models/ocr/generate_stream"),
        ("POST", "/v2/models/chat/generate_stream", "/v2/models/chat/generate_stream"),
        ("POST", "/v2/repository/models/ocr/load", "/v2/repository/models/ocr/load"),
        ("POST", "/v2/repository/models/ocr/unload", "/v2/repository/models/ocr/unload"),
        ("POST", "/v2/repository/models/chat/load", "/v2/repository/models/chat/load"),
        ("POST", "/v2/repository/models/embed/unload", "/v2/repository/models/embed/unload"),
    ],
)
async def test_model_routes_pass_through(bench: Bench, method: str, path: str, upstream: str) -> None:
    bench.model.script = infer
    assert (await bench.http.request(method, path)).status_code == 200
    assert bench.model.calls[0].scope["path"] == upstream


async def test_a_folders_odd_name_is_one_segment_of_the_models_path(bench: Bench) -> None:
    bench.model.script = infer
    odd = "my model?%2e"
    model = Model(name=odd, kind="vision", url=bench.model.url, state=State(phase="ready"))
    bench.catalog.replace(Catalog({odd: model}))
    assert (await bench.http.get(f"/v2/models/{quote(odd, safe='')}")).status_code == 200
    assert bench.model.calls[0].scope["path"] == f"/v2/models/{odd}"


async def test_a_graph_has_metadata_that_asks_none_of_its_steps(bench: Bench) -> None:
    bench.catalog.replace(Catalog({"graph": Model(name="graph", kind="graph", url=bench.model.url)}))
    async with triton_http.InferenceServerClient(bench.url.removeprefix("http://")) as client:
        for version in ("", "1"):
            metadata = await client.get_model_metadata("graph", version)
            assert (metadata["name"], metadata["inputs"], metadata["outputs"]) == ("graph", [], [])
    assert not bench.model.calls


@pytest.mark.parametrize("path", ["/v2/models/ocr/versions/%2e%2e/infer", "/v2/models/ocr/versions/a%2Fb/infer"])
async def test_a_version_cannot_lead_elsewhere(bench: Bench, path: str) -> None:
    answer = await bench.http.post(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "code"}
    assert not bench.model.calls


async def test_asking_whether_a_sleeping_model_is_ready_does_not_wake_it(bench: Bench) -> None:
    answer = await bench.http.get("/v2/models/sleepy/ready")
    assert (answer.status_code, answer.json()) == (200, {"name": "sleepy", "ready": True})
    assert (await bench.http.get("/v2/models/broken/ready")).status_code == 503
    assert (await bench.http.get("/v2/models/nope/ready")).status_code == 404
    assert (await bench.http.post("/v2/repository/index")).json() == (
        await bench.http.get("/v2/repository/index")
    ).json()
    server = (await bench.http.get("/v2")).json()
    assert (server["name"], {"model_configuration", "statistics"} <= set(server["extensions"])) == ("switchyard", True)
    assert (await bench.http.get("/v2/models")).json()["models"][0] == "chat"
    # Of the server that is awake only.
    assert {call.scope["path"] for call in bench.model.calls} == {"/v2/repository/index"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_model_that_a_request_starts_again_gets_that_request_and_is_not_ready(
    bench: Bench, stream: bool
) -> None:
    bench.put("broken", state=State(phase="failed", reason="it crashed", retryable=True))
    for path in ("/v2/models/broken/ready", "/v2/models/broken/versions/1/ready"):
        response = await bench.http.get(path)
        assert (response.status_code, response.json()["error"]) == (503, "model broken failed: it crashed")
    assert not bench.model.calls

    async def fail(call: Call) -> None:
        await call.answer({"error": {"message": "it crashed again", "code": "model_failed"}}, 503, retry_after="1")

    bench.model.script = fail
    rejected = await bench.chat("broken", stream=stream)
    assert (rejected.status_code, rejected.json()["error"]["message"]) == (503, "it crashed again")
    bench.model.script = completion
    assert (await bench.chat("broken", stream=stream)).status_code == 200


@pytest.mark.parametrize("action", ["load", "unload"])
async def test_a_graph_is_not_loaded_and_unloaded_by_clients(bench: Bench, action: str) -> None:
    bench.catalog.replace(Catalog({"graph": Model(name="graph", kind="graph", url=bench.model.url)}))
    answer = await bench.http.post(f"/v2/repository/models/graph/{action}")
    assert (answer.status_code, answer.json()["code"]) == (400, "wrong_model_kind")
    assert answer.json()["error"].count("it wakes when asked") == 1
    assert not bench.model.calls


# -- gRPC


@dataclass
class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """A V2 gRPC model: answers with the request's id, or as the id says."""

    metadata: list[dict[str, Any]] = field(default_factory=list)
    remaining: list[float | None] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    loads: list[str] = field(default_factory=list)
    trailing: tuple[tuple[str, str], ...] = (("x-trailing", "1"),)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        self.loads.append(f"load {request.model_name}")
        return service_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:
        self.loads.append(f"unload {request.model_name}")
        return service_pb2.RepositoryModelUnloadResponse()

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        self.arrived.set()
        if request.id == "reject":
            context.set_trailing_metadata((("x-why", "test"),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")
        if request.id == "hang":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        context.set_trailing_metadata(self.trailing)
        return service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)

    async def ModelReady(self, request: Any, context: Any) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        return service_pb2.ModelReadyResponse(ready=request.name == "ocr")

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelMetadataResponse(name=request.name, platform="test")

    async def ModelStreamInfer(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        context.set_trailing_metadata(self.trailing)
        async for request in requests:
            if request.id == "hang":
                self.arrived.set()
                await asyncio.Event().wait()
            if request.id == "wait":
                self.arrived.set()
                await self.go_on.wait()
            if request.id == "reject":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")
            answer = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
            error = "it failed" if request.id == "error" else ""
            yield service_pb2.ModelStreamInferResponse(error_message=error, infer_response=answer)


@dataclass
class GrpcBench:
    stub: Any
    model: Servicer
    target: str
    bench: Bench


@asynccontextmanager
async def rpc_gateway(tmp_path: Path, script: Script = infer, **settings: Any) -> AsyncIterator[GrpcBench]:
    """A gateway whose models speak gRPC, and a stub of it on the one port."""
    upstream, servicer = grpc.aio.server(), Servicer()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, upstream)
    port = upstream.add_insecure_port("127.0.0.1:0")
    await upstream.start()
    async with gateway(tmp_path, script, max_body_bytes=1 << 20, **settings) as bench:
        bench.catalog.replace(entries(bench.model.url, f"127.0.0.1:{port}"))
        target = bench.url.removeprefix("http://")
        async with grpc.aio.insecure_channel(target) as channel:
            yield GrpcBench(service_pb2_grpc.GRPCInferenceServiceStub(channel), servicer, target, bench)
    await upstream.stop(1)


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(tmp_path) as one:
        yield one


async def test_tritons_grpc_client_infers_and_asks_for_state(rpc: GrpcBench) -> None:
    async with triton_grpc.InferenceServerClient(rpc.target) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        server = await client.get_server_metadata()
        assert (server.name, {"model_configuration", "statistics"} <= set(server.extensions)) == ("switchyard", True)
        assert await client.is_model_ready("sleepy")
        assert not await client.is_model_ready("broken")
        rpc.bench.put("broken", state=replace(rpc.bench.catalog.current().models["broken"].state, retryable=True))
        assert not await client.is_model_ready("broken")
        index = {model.name: model for model in (await client.get_model_repository_index()).models}
        assert (index["chat"].state, index["chat"].version) == ("READY", "1")
        assert index["broken"].reason == "its weights are missing"
        assert (await client.get_model_metadata("ocr")).platform == "test"
        result = await client.infer("ocr", [], request_id="7")
        assert (result.get_response().model_name, result.get_response().id) == ("ocr", "7")


async def test_metadata_deadline_and_request_id_travel_and_internal_metadata_does_not(rpc: GrpcBench) -> None:
    metadata = (
        *(("x-kept", "1"), ("x-switchyard-tenant", "forged"), ("authorization", "secret")),
        *(("x-request-id", "not me"), ("x-request-id", "me"), ("x-switchyard-conversation", "c")),
    )
    call = rpc.stub.ModelInfer(service_pb2.ModelInferRequest(model_name="ocr"), timeout=5, metadata=metadata)
    assert dict(await call.initial_metadata())["x-request-id"] == "me"
    await call
    assert dict(await call.trailing_metadata())["x-trailing"] == "1"
    (seen,) = rpc.model.metadata
    assert (seen["x-kept"], seen["x-request-id"], seen["x-switchyard-conversation"]) == ("1", "me", "c")
    assert not {"x-switchyard-tenant", "authorization"} & set(seen)
    assert rpc.model.remaining[0] is not None
    assert rpc.model.remaining[0] < 6


@pytest.mark.parametrize(
    ("model", "identifier", "code", "sentence"),
    [
        ("nope", "", grpc.StatusCode.NOT_FOUND, "does not exist"),
        ("broken", "", grpc.StatusCode.UNAVAILABLE, "its weights are missing"),
        ("embed", "", grpc.StatusCode.UNIMPLEMENTED, "serves no gRPC"),
        ("", "", grpc.StatusCode.INVALID_ARGUMENT, "names no model; RepositoryIndex lists them"),
        ("ocr", "reject", grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory"),
    ],
)
async def test_errors_arrive_as_statuses_with_a_sentence_and_a_request_id(
    rpc: GrpcBench, model: str, identifier: str, code: grpc.StatusCode, sentence: str
) -> None:
    call = rpc.stub.ModelInfer(service_pb2.ModelInferRequest(model_name=model, id=identifier))
    with pytest.raises(grpc.aio.AioRpcError, match=sentence) as caught:
        await call
    assert caught.value.code() is code
    assert len(dict(caught.value.initial_metadata())["x-request-id"]) == 32
    assert ("x-why", "test") in tuple(caught.value.trailing_metadata()) or identifier != "reject"


async def test_a_caller_that_disconnects_cancels_the_model(rpc: GrpcBench) -> None:
    call = rpc.stub.ModelInfer(service_pb2.ModelInferRequest(model_name="ocr", id="hang"))
    task = asyncio.ensure_future(call)
    await asyncio.wait_for(rpc.model.arrived.wait(), 5)
    call.cancel()
    await asyncio.wait_for(rpc.model.cancelled.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_streams_go_both_ways(rpc: GrpcBench) -> None:
    call = rpc.stub.ModelStreamInfer()
    for number in range(3):
        await call.write(service_pb2.ModelInferRequest(model_name="ocr", id=str(number)))
        answer = await call.read()
        assert answer.infer_response.id == str(number)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_model_is_loaded_on_request_and_a_graph_is_not(rpc: GrpcBench) -> None:
    rpc.bench.put("chat", kind="graph")
    async with triton_grpc.InferenceServerClient(rpc.target) as client:
        await client.load_model("ocr")
        await client.unload_model("ocr")
        assert rpc.model.loads == ["load ocr", "unload ocr"]
        with pytest.raises(InferenceServerException, match="it wakes when asked"):
            await client.unload_model("chat")
        with pytest.raises(InferenceServerException, match="does not exist"):
            await client.load_model("nope")
    assert rpc.model.loads == ["load ocr", "unload ocr"]
