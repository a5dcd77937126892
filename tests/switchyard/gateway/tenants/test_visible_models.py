"""A model that a tenant may not use is, for that tenant, one that does not exist: in lists, by name, in streams."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from switchyard.catalog import Catalog, CatalogError, Model
from switchyard.gateway.lookup import Visible
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.gateway.tenants.test_access import headers, outcome
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

ALLOWED = {"acme": {"chat", "ocr", "sleepy"}, "team": {"ocr"}}
ABSENT = "broken"  # exists, and acme may not use it


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(tmp_path, tenants=await tenants(tmp_path)) as one:
        yield one


@pytest.mark.parametrize("name", ["acme", "team", "globex"])
async def test_lists_hold_what_the_key_may_use(name: str, rpc: GrpcBench) -> None:
    sent = headers(KEYS[name])
    expected = ALLOWED.get(name, {*rpc.bench.catalog.current().models})
    http = rpc.bench.http
    assert {one["id"] for one in (await http.get("/v1/models", headers=sent)).json()["data"]} == expected
    assert {*(await http.get("/v2/models", headers=sent)).json()["models"]} == expected
    for method in ("GET", "POST"):
        index = (await http.request(method, "/v2/repository/index", headers=sent)).json()
        assert {one["name"] for one in index} == expected
    message = await rpc.stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), metadata=tuple(sent.items()))
    assert {one.name for one in message.models} == expected


# Method, path and body for a model of this name.
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai": ("POST", "/v1/chat/completions", {"json": {"model": "NAME", "messages": []}}),
    "anthropic": ("POST", "/v1/messages", {"json": {"model": "NAME", "messages": []}}),
    "embeddings": ("POST", "/v1/embeddings", {"json": {"model": "NAME", "input": "x"}}),
    "form": ("POST", "/v1/llm/chat", {"json": {"model": "NAME", "prompt": "x"}}),
    "text": ("POST", "/v1/chat/NAME", {"content": "x"}),
    "image": ("POST", "/v1/vision/NAME", {"json": {"image": "aGVsbG8="}}),
    "v1": ("POST", "/v1/models/NAME:predict", {"json": {"instances": [{}]}}),
    "v1 state": ("GET", "/v1/models/NAME", {}),
    "v2": ("POST", "/v2/models/NAME/infer", {"json": {"inputs": []}}),
    "v2 version": ("POST", "/v2/models/NAME/versions/1/infer", {"json": {"inputs": []}}),
    "v2 metadata": ("GET", "/v2/models/NAME", {}),
    "v2 ready": ("GET", "/v2/models/NAME/ready", {}),
    "v2 statistics": ("GET", "/v2/models/NAME/stats", {}),
    "v2 load": ("POST", "/v2/repository/models/NAME/load", {}),
}


def named(value: Any, name: str) -> Any:
    """A request's body for the model ``name``."""
    return (
        {key: named(one, name) for key, one in value.items()}
        if isinstance(value, dict)
        else name
        if value == "NAME"
        else value
    )


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_what_exists_and_what_does_not_are_told_alike(protocol: str, rpc: GrpcBench) -> None:
    method, path, body = REQUESTS[protocol]
    seen = []
    for name in (ABSENT, "no-one"):  # of one length, so that all headers are the same
        sent = headers(KEYS["admin"]) | {"x-request-id": "r"}
        response = await rpc.bench.http.request(method, path.replace("NAME", name), **named(body, name), headers=sent)
        kept = {key: value for key, value in response.headers.items() if key != "date"}
        seen.append((response.status_code, kept, response.text.replace(name, "NAME")))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404
    assert "The model `NAME` does not exist; GET /v1/models lists those that do." in seen[0][2]


FIELDS = {
    "ModelInfer": "model_name",
    "ModelMetadata": "name",
    "ModelReady": "name",
    "ModelConfig": "name",
    "ModelStatistics": "name",
    "RepositoryModelLoad": "model_name",
}


@pytest.mark.parametrize("method", FIELDS)
async def test_what_exists_and_what_does_not_are_told_alike_over_grpc(method: str, rpc: GrpcBench) -> None:
    seen = []
    for name in (ABSENT, "no-one"):
        request = getattr(service_pb2, f"{method}Request")(**{FIELDS[method]: name})
        sent = tuple(headers(KEYS["admin"]).items())
        code, said = await outcome(getattr(rpc.stub, method)(request, metadata=sent))
        seen.append((code, said.replace(name, "NAME")))
    assert seen[0] == seen[1] == ("NOT_FOUND", "The model `NAME` does not exist; GET /v1/models lists those that do.")


async def test_a_form_that_names_no_model_gets_one_that_the_key_may_use(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path, tenants=await tenants(tmp_path), default_model="seer") as rpc:
        for name, model in (("acme", "chat"), ("globex", "seer")):
            await rpc.bench.http.post("/v1/llm/chat", json={"prompt": "x"}, headers=headers(KEYS[name]))
            assert rpc.bench.model.bodies[-1]["model"] == model
        response = await rpc.bench.http.post("/v1/llm/chat", json={"prompt": "x"}, headers=headers(KEYS["team"]))
    assert response.json()["error"]["code"] == "missing_model"


def message(model: str) -> Any:
    return service_pb2.ModelInferRequest(model_name=model)


async def streamed(rpc: GrpcBench, key: str, *models: str, **options: Any) -> tuple[list[str], str, str]:
    """The models that responded in a stream with a message for each of ``models``, and how it ended."""
    call = rpc.stub.ModelStreamInfer(
        iter([message(model) for model in models]), metadata=tuple(headers(KEYS[key]).items()), **options
    )
    found: list[str] = []
    try:
        async for response in call:
            found = [*found, response.infer_response.model_name]
    except grpc.aio.AioRpcError as err:
        return found, err.code().name, err.details() or ""
    return found, "OK", ""


async def test_a_stream_stays_with_the_model_that_it_was_opened_for(rpc: GrpcBench) -> None:
    assert await streamed(rpc, "acme", "chat", "chat") == (["chat", "chat"], "OK", "")
    found, code, said = await streamed(rpc, "acme", "chat", "broken")
    assert (set(found) <= {"chat"}, code) == (True, "INVALID_ARGUMENT")
    assert said == "this stream was opened for chat: each of its messages names that, uncompressed"
    assert (await streamed(rpc, "acme", "broken"))[1] == "NOT_FOUND"


async def test_a_compressed_stream_cannot_hide_another_name(rpc: GrpcBench) -> None:
    found, code, said = await streamed(rpc, "acme", "chat", "broken", compression=grpc.Compression.Gzip)
    assert (found, code) == ([], "INVALID_ARGUMENT")
    assert "uncompressed" in said


async def test_a_tenant_of_all_models_may_name_several_in_a_stream(rpc: GrpcBench) -> None:
    assert await streamed(rpc, "globex", "chat", "ocr") == (["chat", "ocr"], "OK", "")


class Source:
    """A catalog that a test changes."""

    def __init__(self, *names: str) -> None:
        self.put(*names)

    def put(self, *names: str) -> None:
        self.catalog = Catalog({name: Model(name=name, kind="llm", url="") for name in names})

    def current(self) -> Catalog:
        return self.catalog


def identity(*models: tuple[str, ...]) -> Identity:
    return Identity("acme", "", "k", frozenset(("use",)), models)


def test_a_view_is_kept_until_the_catalog_changes() -> None:
    source = Source("chat-a", "chat-b", "ocr")
    visible, acme = Visible(source), identity(("chat-*", "x?"))
    view = visible.to(acme)
    assert list(view.models) == ["chat-a", "chat-b"]
    assert visible.to(acme) is view
    source.put("chat-c", "xy", "xyz", "Chat-d")
    assert list(visible.to(acme).models) == ["chat-c", "xy"]


def test_a_team_may_use_what_its_tenant_may_too() -> None:
    source = Source("chat-a", "chat-b", "ocr")
    assert list(Visible(source).to(identity(("chat-*",), ("*-b", "ocr"))).models) == ["chat-b"]


def test_the_number_of_views_is_bounded() -> None:
    visible = Visible(Source("chat"))
    for number in range(1000):
        visible.to(identity((f"c{number}",)))
    assert len(visible._views) <= 256


def test_a_gateway_without_keys_sees_everything() -> None:
    source = Source("chat", "ocr")
    assert Visible(source).to(None) is source.catalog
    assert Visible(source).to(identity()) is source.catalog


def test_a_tenants_own_instances_are_there_for_it_alone_in_place_of_shared_ones_of_the_same_name() -> None:
    shared, own = Source("chat", "ocr"), Source("chat", "own")
    visible = Visible(shared, {"acme": own})
    acme, globex = identity(), replace(identity(), tenant="globex")

    assert visible.to(acme).models == {**shared.catalog.models, **own.catalog.models}
    assert visible.to(acme).models["chat"] is own.catalog.models["chat"]
    assert visible.to(globex) is shared.catalog
    assert visible.to(None) is shared.catalog
    assert list(visible.to(identity(("o*",))).models) == ["ocr", "own"]
    assert list(visible.to(replace(globex, models=(("o*",),))).models) == ["ocr"]


def test_a_view_of_own_instances_is_kept_until_either_catalog_changes() -> None:
    shared, own = Source("chat"), Source("own")
    visible = Visible(shared, {"acme": own})
    view = visible.to(identity())
    assert visible.to(identity()) is view
    own.put("other")
    assert list(visible.to(identity()).models) == ["chat", "other"]
    shared.put("ocr")
    assert list(visible.to(identity()).models) == ["ocr", "other"]


def test_a_tenant_whose_namespace_cannot_be_read_is_told_so_and_others_are_served() -> None:
    class Unreadable:
        def current(self) -> Catalog:
            raise CatalogError("not yet")

    visible = Visible(Source("chat"), {"acme": Unreadable()})
    with pytest.raises(ApiError) as failed:
        visible.to(identity())
    assert failed.value.code == "catalog_unreadable"
    assert list(visible.to(replace(identity(), tenant="globex")).models) == ["chat"]
