"""The predictor says what vLLM counted, when the gateway asks, for every protocol that a language model has."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from switchyard.catalog import Catalog, Model, State
from switchyard.store.factory import open_ledger
from tests.live.processes import MODELS, Predictor, Preload
from tests.live.test_llm_predictor import text_input, v2
from tests.switchyard.gateway.conftest import gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.router.running import node, router, services

pytestmark = pytest.mark.live

ASKS = {"x-switchyard-usage": "1"}
CHAT = {"model": "chat-fast", "messages": [{"role": "user", "content": "Say a number."}], "max_tokens": 8}
TEXT = {
    "model": "chat-fast",
    "prompt": ["One two", "Three"],
    "max_tokens": 4,
    "ignore_eos": True,
    "n": 2,
    "temperature": 1,
}
INPUT = {"model": "chat-fast", "input": "Say a number.", "max_output_tokens": 16}
Usage = dict[str, int]


def whole(predictor: Predictor, path: str, body: object) -> tuple[Usage, Any]:
    response = httpx.post(predictor.url + path, json=body, headers=ASKS, timeout=60).raise_for_status()
    return json.loads(response.headers["x-switchyard-usage"]), response.json()


def streamed(predictor: Predictor, path: str, body: object) -> Usage:
    """The usage that stands in the stream's comment, which its last event follows."""
    response = httpx.post(predictor.url + path, json=body, headers=ASKS, timeout=60).raise_for_status()
    before, _, after = response.text.rpartition(": usage ")
    assert before.endswith("\n\n")
    assert "event:" not in after.partition("\n\n")[0]
    return dict(json.loads(after.partition("\n\n")[0]))


def same(counted: Usage, prompt: int, completion: int) -> bool:
    return (counted["prompt_tokens"], counted.get("completion_tokens", 0)) == (prompt, completion)


@pytest.mark.parametrize(("path", "body"), [("chat/completions", CHAT), ("completions", TEXT), ("messages", CHAT)])
def test_whole_and_streamed_say_what_the_response_says(chat: Predictor, path: str, body: dict[str, Any]) -> None:
    counted, response = whole(chat, f"/openai/v1/{path}", body)
    usage = response["usage"]
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    completion = usage.get("completion_tokens", usage.get("output_tokens"))
    assert same(counted, prompt, completion)
    assert streamed(chat, f"/openai/v1/{path}", {**body, "stream": True})["prompt_tokens"] == prompt


def test_a_stream_counts_what_vllm_counts_in_it(chat: Predictor) -> None:
    counted = streamed(chat, "/openai/v1/chat/completions", {**CHAT, "stream": True, "seed": 1})
    asked = {**CHAT, "stream": True, "seed": 1, "stream_options": {"include_usage": True}}
    response = httpx.post(f"{chat.url}/openai/v1/chat/completions", json=asked, headers=ASKS, timeout=60)
    events = [line for line in response.text.splitlines() if line.startswith("data: {")]
    usage = json.loads(events[-1].removeprefix("data: "))["usage"]
    assert same(counted, usage["prompt_tokens"], usage["completion_tokens"])


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
@pytest.mark.parametrize("asked", [{"stream_interval": 1000}, {"vllm_xargs": {"stream_interval": 1000}}])
def test_a_client_cannot_have_its_tokens_in_one_event(chat: Predictor, path: str, asked: dict[str, Any]) -> None:
    body = {**(CHAT if path.startswith("chat") else {**TEXT, "prompt": "One two", "n": 1}), "stream": True, **asked}
    body |= {"max_tokens": 32, "ignore_eos": True}
    response = httpx.post(f"{chat.url}/openai/v1/{path}", json=body, headers=ASKS, timeout=60).raise_for_status()
    # Not all: the engine puts together what its server has not taken yet.
    assert response.text.count("data: {") > 8


def test_responses_are_counted_whole_and_streamed(chat: Predictor) -> None:
    counted, response = whole(chat, "/openai/v1/responses", INPUT)
    assert same(counted, response["usage"]["input_tokens"], response["usage"]["output_tokens"])
    assert streamed(chat, "/openai/v1/responses", {**INPUT, "stream": True})["prompt_tokens"] > 0


def test_v2_of_a_language_model_is_counted(chat: Predictor) -> None:
    counted, response = whole(chat, "/v2/models/chat-fast/infer", v2(texts=["One", "Two three"], max_tokens=3))
    outputs = {output["name"]: output["data"] for output in response["outputs"]}
    assert same(counted, sum(outputs["prompt_tokens"]), sum(outputs["completion_tokens"]))
    asked = {"text_input": "One", "max_tokens": 3}
    counted, response = whole(chat, "/v2/models/chat-fast/generate", asked)
    assert same(counted, response["prompt_tokens"], response["completion_tokens"])
    assert streamed(chat, "/v2/models/chat-fast/generate_stream", asked)["prompt_tokens"] == response["prompt_tokens"]


def request(predictor: Predictor) -> Any:
    made = service_pb2.ModelInferRequest(model_name=predictor.name)
    tensor = text_input("Say a number.")
    made.inputs.append(tensor._get_tensor())
    made.raw_input_contents.append(tensor._get_content())
    made.parameters["max_tokens"].int64_param = 6
    return made


def over_grpc(predictor: Predictor, messages: int) -> tuple[Usage, list[dict[str, int]]]:
    """The usage in the trailers of one call or of a stream, and the counts that stand in its responses."""
    asked = request(predictor)
    with grpc.insecure_channel(f"127.0.0.1:{predictor.http}") as channel:
        stub, asks = service_pb2_grpc.GRPCInferenceServiceStub(channel), tuple(ASKS.items())
        if messages:
            call = stub.ModelStreamInfer(iter([asked] * messages), timeout=60, metadata=asks)
            responses = [message.infer_response for message in call]
        else:
            response, call = stub.ModelInfer.with_call(asked, timeout=60, metadata=asks)
            responses = [response]
        said = json.loads(dict(call.trailing_metadata())["x-switchyard-usage"])
    names = [[output.name for output in response.outputs] for response in responses]
    rows = [
        {
            name: int.from_bytes(content, "little")
            for name, content in zip(row, response.raw_output_contents, strict=True)
        }
        for row, response in zip(names, responses, strict=True)
        if messages == 0 or response.parameters["triton_final_response"].bool_param
    ]
    return said, rows


@pytest.mark.parametrize("messages", [0, 2])
def test_v2_over_grpc_is_counted_in_trailers(chat: Predictor, messages: int) -> None:
    counted, rows = over_grpc(chat, messages)
    assert len(rows) == max(messages, 1)
    assert same(counted, sum(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows))


async def test_a_graph_says_what_all_its_steps_used(chat: Predictor) -> None:
    alone = whole(chat, "/openai/v1/chat/completions", CHAT)[0]
    url = f"{chat.url}/openai/v1/chat/completions"
    nodes = {
        "root": node("Sequence", {"name": "vote", "nodeName": "vote"}, {"name": "chat", "serviceUrl": url}),
        "vote": node("Ensemble", {"name": "a", "serviceUrl": url}, {"name": "b", "serviceUrl": url}),
    }
    async with services() as behind, router(behind, nodes) as one:
        response = await one.http.post("/", json=CHAT, headers=ASKS, timeout=60)
        before, last = (json.loads(response.headers[f"x-switchyard-usage{end}"]) for end in ("-before", ""))
    assert (before["prompt_tokens"], last["prompt_tokens"]) == (2 * alone["prompt_tokens"], alone["prompt_tokens"])


async def test_through_the_gateway_all_protocols_are_on_the_bill_alike(chat: Predictor, tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite://{tmp_path}/ledger.db")
    state = State(phase="ready")
    served = Model(name=chat.name, kind="llm", url=chat.url, grpc=f"127.0.0.1:{chat.http}", state=state)
    async with gateway(tmp_path, tenants=await tenants(tmp_path), ledger=ledger) as bench:
        bench.catalog.replace(Catalog({chat.name: served}))
        bench.http.headers["x-api-key"] = KEYS["globex"]
        whole = (await bench.http.post("/v1/chat/completions", json=CHAT)).raise_for_status()
        stream = (await bench.http.post("/v1/chat/completions", json={**CHAT, "stream": True})).raise_for_status()
        async with grpc.aio.insecure_channel(bench.url.removeprefix("http://")) as channel:
            stub, key = service_pb2_grpc.GRPCInferenceServiceStub(channel), (("x-api-key", KEYS["globex"]),)
            call = stub.ModelInfer(request(chat), timeout=60, metadata=key)
            await call
            trailers = dict(await call.trailing_metadata())
        rows = [json.loads(row) for _, row in await ledger.rows("globex", since=0, until=2**40)]
    await ledger.aclose()
    assert ": usage" not in stream.text
    assert stream.text.endswith("data: [DONE]\n\n")
    assert not [name for name in (*whole.headers, *trailers) if "usage" in name]
    assert [row["route"] for row in rows] == ["/v1/chat/completions"] * 2 + ["grpc ModelInfer"]
    prompt = whole.json()["usage"]["prompt_tokens"]
    assert [(row["prompt_tokens"], row["estimated"], row["outcome"]) for row in rows] == [(prompt, False, "ok")] * 3
    assert all(row["completion_tokens"] for row in rows)


def test_a_prompt_that_is_cached_is_counted_as_cached(chat: Predictor) -> None:
    body = {"model": "chat-fast", "prompt": "usage of what is cached. " * 60, "max_tokens": 1}
    assert "cached_tokens" not in whole(chat, "/openai/v1/completions", body)[0]
    counted, _ = whole(chat, "/openai/v1/completions", body)
    assert 0 < counted["cached_tokens"] < counted["prompt_tokens"]


def test_nothing_is_said_to_who_does_not_ask(chat: Predictor) -> None:
    response = httpx.post(f"{chat.url}/openai/v1/chat/completions", json=CHAT, timeout=60)
    assert "x-switchyard-usage" not in response.headers
    response = httpx.post(f"{chat.url}/openai/v1/chat/completions", json={**CHAT, "stream": True}, timeout=60)
    assert ": usage" not in response.text


def test_embeddings_are_counted(embed: Predictor) -> None:
    counted, response = whole(embed, "/openai/v1/embeddings", {"model": embed.name, "input": ["one", "two three"]})
    assert counted == {"prompt_tokens": response["usage"]["prompt_tokens"]}


@pytest.fixture(scope="module")
def thinker(preload: Preload, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    """A model whose tokens 4 and 0 are those around reasoning."""
    folder = tmp_path_factory.mktemp("models") / "thinker"
    shutil.copytree(MODELS / "chat-fast", folder)
    for file in folder.glob("tokenizer*.json"):
        file.write_text(file.read_text().replace("<|tool|>", "<think>").replace("<|pad|>", "</think>"))
    started = Predictor(preload, "chat-fast", f"--model_dir={folder}", "--reasoning-parser=deepseek_r1")
    yield started.wait_ready()
    started.stop()


def test_tokens_of_reasoning_are_those_that_vllm_says(thinker: Predictor) -> None:
    # It begins with the token that begins reasoning, which the penalty lets it write once only.
    begins = {"logit_bias": {"4": 100}, "repetition_penalty": 1000, "ignore_eos": True, "n": 2, "temperature": 1}
    counted, response = whole(thinker, "/openai/v1/chat/completions", {**CHAT, **begins})
    said = response["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < said < response["usage"]["completion_tokens"] == counted["completion_tokens"]
    assert counted["reasoning_tokens"] == said
    streams = {
        **CHAT,
        **begins,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    assert 0 < streamed(thinker, "/openai/v1/chat/completions", streams)["reasoning_tokens"] < 16
