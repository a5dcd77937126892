"""The gateway says of a model what the repository said of its folder, in the same words in every protocol."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc.aio as triton_grpc
from tritonclient.utils import InferenceServerException

from switchyard.catalog import Card, Catalog, Model, State
from tests.switchyard.gateway.conftest import Bench, Call
from tests.switchyard.gateway.test_v2 import rpc_gateway

SENTENCE = "1/model.onnx is not an ONNX file: export the model again."
NEWEST = f"the newest content of its folder is not served: {SENTENCE}"
CARD = Card(
    format="onnx",
    bytes=1000,
    license="bsd-3-clause",
    description="Reads digits.",
    source="hf://a/b",
    revision="abc",
)
STATES = {
    "served": State(phase="asleep"),
    "failed": State(phase="failed", reason=SENTENCE),
    "pending": State(phase="pending", reason="its folder is being checked"),
}


def catalog(bench: Bench) -> Catalog:
    models = [
        Model(name=name, kind="vision", url=bench.model.url, grpc="127.0.0.1:1", versions=("1", "2"), state=state)
        for name, state in STATES.items()
    ]
    edited = {"name": "edited", "notice": NEWEST, "card": CARD, "state": State(phase="asleep")}
    models.append(Model(**edited, kind="vision", url=bench.model.url))  # type: ignore[arg-type]
    return Catalog({model.name: model for model in models})


async def nothing(call: Call) -> None:
    await call.answer({})


def of(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row.get("id", row.get("name")) == name)


async def test_lists_show_why_a_folder_is_not_served(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path, nothing) as rpc, triton_grpc.InferenceServerClient(rpc.target) as client:
        rpc.bench.catalog.replace(catalog(rpc.bench))
        index = (await rpc.bench.http.get("/v2/repository/index")).json()
        models = (await rpc.bench.http.get("/v1/models")).json()["data"]
        over_grpc = (await client.get_model_repository_index(as_json=True))["models"]
        assert [{"version": "", "reason": "", **row} for row in over_grpc] == index
        shown = {row["name"]: (row["state"], row["reason"]) for row in index}
        assert shown == {
            "served": ("READY", ""),
            "failed": ("UNAVAILABLE", SENTENCE),
            "pending": ("UNAVAILABLE", "its folder is being checked"),
            "edited": ("READY", NEWEST),
        }
        assert {row["id"]: row.get("reason", "") for row in models} == {name: said for name, (_, said) in shown.items()}
        assert {row["id"]: row["ready"] for row in models} == {
            "served": True,
            "failed": False,
            "pending": False,
            "edited": True,
        }
        assert of(models, "pending")["state"] == "pending"


async def test_what_only_the_models_server_knows_of_its_newest_content_is_told_in_every_protocol(
    tmp_path: Path,
) -> None:
    loading = "the newest content of its folder is not served: ValueError: no weights (1/model.py line 7)"

    async def index(call: Call) -> None:
        rows = [{"name": "m", "version": version, "state": "READY", "reason": loading} for version in "12"]
        await call.answer([*rows, {"name": "other", "version": "1", "state": "READY"}])

    async with rpc_gateway(tmp_path, index) as rpc, triton_grpc.InferenceServerClient(rpc.target) as client:
        m = Model(name="m", kind="vision", url=rpc.bench.model.url, state=State(phase="ready"))
        for notice, told in (("", loading), (NEWEST, f"{NEWEST} {loading}")):
            models = [replace(m, notice=notice), replace(m, name="other")]
            rpc.bench.catalog.replace(Catalog({model.name: model for model in models}))
            over_grpc = (await client.get_model_repository_index(as_json=True))["models"]
            for rows in (over_grpc, (await rpc.bench.http.get("/v2/repository/index")).json()):
                assert [(row["name"], row["version"], row["state"], row.get("reason", "")) for row in rows] == [
                    ("m", "1", "READY", told),
                    ("m", "2", "READY", told),
                    ("other", "1", "READY", ""),
                ]
            listed = (await rpc.bench.http.get("/v1/models")).json()["data"]
            for row in (of(listed, "m"), (await rpc.bench.http.get("/v1/models/m")).json()):
                assert (row["state"], row["ready"], row["reason"]) == ("ready", True, told)
            assert "reason" not in of(listed, "other")


@pytest.mark.parametrize(("name", "code"), [("failed", "model_failed"), ("pending", "model_not_ready")])
async def test_what_is_asked_of_a_model_that_is_not_served_is_the_sentence(
    tmp_path: Path, name: str, code: str
) -> None:
    async with rpc_gateway(tmp_path, nothing) as rpc, triton_grpc.InferenceServerClient(rpc.target) as client:
        rpc.bench.catalog.replace(catalog(rpc.bench))
        for method, path in (("GET", ""), ("GET", "/ready"), ("POST", "/infer")):
            response = await rpc.bench.http.request(method, f"/v2/models/{name}{path}")
            assert (response.status_code, response.json()["code"]) == (503, code), path
            assert STATES[name].reason in response.json()["error"]
        assert not await client.is_model_ready(name)
        with pytest.raises(InferenceServerException, match=STATES[name].reason):
            await client.get_model_metadata(name)
        assert not rpc.bench.model.calls


async def test_one_model_is_shown_with_its_card_and_a_list_is_brief(bench: Bench) -> None:
    bench.catalog.replace(catalog(bench))
    brief = of((await bench.http.get("/v1/models")).json()["data"], "edited")
    assert brief["license"] == "bsd-3-clause"
    assert not {"description", "size_bytes", "source"} & set(brief)
    assert (await bench.http.get("/v1/models/edited")).json() == {
        **brief,
        "versions": ["1"],
        "size_bytes": 1000,
        "format": "onnx",
        "description": "Reads digits.",
        "source": "hf://a/b",
        "revision": "abc",
    }
