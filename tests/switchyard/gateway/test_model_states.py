"""Lists and readiness tell the truth about models of a repository: of a server that is awake, and of versions."""

import json
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc.aio as triton_grpc

from switchyard.catalog import Catalog, Model, State
from tests.switchyard.gateway.conftest import Bench, Call, gateway
from tests.switchyard.gateway.test_v2 import rpc_gateway

ROWS: list[dict[str, str]] = [
    {"name": "loaded", "version": "2", "state": "READY"},
    {"name": "idle", "version": "1"},
    {"name": "unloaded", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
    {"name": "broken", "version": "1", "state": "UNAVAILABLE", "reason": "no weights"},
    {"name": "broken", "version": "3", "state": "UNAVAILABLE", "reason": "no weights"},
]
NAMES = ("loaded", "idle", "unloaded", "broken", "new")
# state and reason in /v1/models; versions, state and reason in the index
EXPECTED = {
    "loaded": ("ready", None, ["2"], "READY", ""),
    "idle": ("ready", None, ["1"], "READY", ""),
    "unloaded": ("asleep", "unloaded", ["1"], "UNAVAILABLE", "unloaded"),
    "broken": ("failed", "no weights", ["1", "3"], "UNAVAILABLE", "no weights"),
    "new": ("ready", None, ["7"], "READY", ""),
    "chat": ("ready", None, ["1"], "READY", ""),
}


async def index(call: Call) -> None:
    if call.scope["path"] == "/v2/repository/index":
        await call.answer(ROWS)
    else:
        await call.answer({"error": "no such version"}, 404)


def catalog(bench: Bench, phase: Any = "ready", grpc: str = "") -> Catalog:
    state, url = State(phase=phase), bench.model.url
    models = [Model(name=name, kind="vision", url=url, grpc=grpc, versions=("7",), state=state) for name in NAMES]
    models.append(Model(name="chat", kind="llm", url=url, grpc=grpc, state=State(phase="ready")))
    return Catalog({model.name: model for model in models})


async def seen(bench: Bench) -> dict[str, tuple[str, str | None, list[str], str, str]]:
    models = {row["id"]: row for row in (await bench.http.get("/v1/models")).json()["data"]}
    rows = (await bench.http.post("/v2/repository/index")).json()
    found = {}
    for name, model in models.items():
        own = [row for row in rows if row["name"] == name]
        versions = [row["version"] for row in own]
        found[name] = (model["state"], model.get("reason"), versions, own[0]["state"], own[0]["reason"])
    return found


async def test_lists_show_what_the_server_of_a_repository_knows(tmp_path: Path) -> None:
    async with gateway(tmp_path, index) as bench:
        bench.catalog.replace(catalog(bench))
        assert await seen(bench) == EXPECTED
        one = (await bench.http.get("/v1/models/broken")).json()
        assert (one["state"], one["reason"]) == ("failed", "no weights")


@pytest.mark.parametrize("answer", [(500, {"error": "x"}), (200, {"rows": 1}), (200, ["x"]), (200, "text")])
async def test_a_server_that_says_nothing_useful_leaves_the_catalogs_word(tmp_path: Path, answer: Any) -> None:
    async def nonsense(call: Call) -> None:
        await call.start(answer[0])
        await call.end(b"{" if answer[1] == "text" else json.dumps(answer[1]).encode())

    async with gateway(tmp_path, nonsense) as bench:
        bench.catalog.replace(catalog(bench))
        assert (await seen(bench))["broken"] == ("ready", None, ["7"], "READY", "")


async def test_a_sleeping_server_is_not_asked(tmp_path: Path) -> None:
    async with gateway(tmp_path, index) as bench:
        bench.catalog.replace(catalog(bench, "asleep"))
        assert (await seen(bench))["broken"] == ("asleep", None, ["7"], "READY", "")
        assert not bench.model.calls


# model, state of the service, version, status
READINESS = [
    ("loaded", "asleep", "7", 200),
    ("loaded", "asleep", "9", 404),
    ("loaded", "ready", "9", 404),  # its server says so
    ("chat", "ready", "1", 200),
    ("chat", "ready", "9", 404),
]


@pytest.mark.parametrize(("model", "phase", "version", "status"), READINESS)
async def test_a_version_that_does_not_exist_is_not_ready(
    tmp_path: Path, model: str, phase: str, version: str, status: int
) -> None:
    async with gateway(tmp_path, index) as bench:
        bench.catalog.replace(catalog(bench, phase))
        response = await bench.http.get(f"/v2/models/{model}/versions/{version}/ready")
        assert response.status_code == status
        assert status == 200 or "no " in response.json()["error"]
        if model == "chat" and status == 404:
            infer = await bench.http.post(f"/v2/models/{model}/versions/{version}/infer", json={"inputs": []})
            assert (infer.status_code, "it has 1" in infer.json()["error"]) == (404, True)
            assert not bench.model.calls


@pytest.mark.parametrize(
    ("model", "phase", "version", "status"), [row for row in READINESS if row[1:3] != ("ready", "9")]
)
async def test_nor_in_grpc(tmp_path: Path, model: str, phase: str, version: str, status: int) -> None:
    async with rpc_gateway(tmp_path, index) as rpc, triton_grpc.InferenceServerClient(rpc.target) as client:
        rpc.bench.catalog.replace(catalog(rpc.bench, phase, grpc="127.0.0.1:1"))
        assert await client.is_model_ready(model, version) is (status == 200)
        assert not await client.is_model_ready("chat", "9")
        found = (await client.get_model_repository_index()).models
        assert {(row.name, row.version) for row in found} >= {
            ("loaded", "2" if phase == "ready" else "7"),
            ("chat", "1"),
        }
