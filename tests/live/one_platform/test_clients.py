"""Official clients, unmodified, with nothing but the gateway's base URL."""

import asyncio
import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Literal

import anthropic
import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc
import tritonclient.http
from langchain_openai import ChatOpenAI
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageFunctionToolCall
from pydantic import SecretStr

from tests.live.platform import GRAPHS, LANGUAGE_MODELS, VISION_MODELS, Platform, http_client, metric
from tests.live.processes import DEADLINE, KEY, ROOT, eventually

pytestmark = pytest.mark.live

MODEL = "chat-fast"
QUESTION = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"
TEXTS = np.array([QUESTION.encode()], dtype=np.object_)
FORECAST: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "forecast",
        "description": "The weather of the next days.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Lima"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def sdk(platform: Platform) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{platform.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def curl(platform: Platform) -> Iterator[httpx.Client]:
    with http_client(platform) as client:
        yield client


def ask(sdk: openai.OpenAI, **options: Any) -> Any:
    message = {"role": "user", "content": QUESTION}
    return sdk.chat.completions.create(**{"model": MODEL, "messages": [message], "temperature": 0, **options})


def test_the_openai_sdk_lists_the_models_and_finds_one(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [*LANGUAGE_MODELS, *VISION_MODELS, *GRAPHS]
    assert sdk.models.retrieve(MODEL).id == MODEL


def test_the_openai_sdk_streams_what_it_would_get_whole(sdk: openai.OpenAI) -> None:
    whole = ask(sdk)
    parts = [part.choices[0] for part in ask(sdk, stream=True) if part.choices]
    assert "".join(part.delta.content or "" for part in parts) == whole.choices[0].message.content
    assert parts[-1].finish_reason == whole.choices[0].finish_reason
    assert whole.usage.completion_tokens > 0


@pytest.mark.parametrize("tier", ["flex", "default", "priority"])
def test_every_service_tier_is_one_that_the_engine_knows(
    sdk: openai.OpenAI, tier: Literal["flex", "default", "priority"]
) -> None:
    assert ask(sdk, service_tier=tier).choices[0].message.content == ask(sdk).choices[0].message.content


def test_a_named_tool_is_called_with_arguments_that_fit_its_schema(sdk: openai.OpenAI) -> None:
    choice = {"type": "function", "function": {"name": "forecast"}}
    answer = ask(sdk, tools=[FORECAST], tool_choice=choice, max_tokens=100)
    call = answer.choices[0].message.tool_calls[0]
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.function.name == "forecast"
    arguments = json.loads(call.function.arguments)
    assert arguments["city"] in ("Oslo", "Lima")
    assert 1 <= arguments["days"] <= 9


def test_tools_that_the_model_may_choose_do_not_disturb_the_answer(sdk: openai.OpenAI) -> None:
    message = ask(sdk, tools=[FORECAST], tool_choice="auto", max_tokens=64).choices[0].message
    assert message.content or message.tool_calls


def test_the_openai_sdk_gets_embeddings_that_tell_meanings_apart(sdk: openai.OpenAI) -> None:
    texts = ["a small cat", "a kitten", "the stock market fell"]
    rows = sdk.embeddings.create(model="embed", input=texts).data
    cat, kitten, market = (np.array(row.embedding) for row in rows)
    assert len(cat) == 384
    assert cat @ kitten > cat @ market


def test_the_openai_sdk_gets_a_response(sdk: openai.OpenAI) -> None:
    answer = sdk.responses.create(model=MODEL, input="Hello", max_output_tokens=16)
    assert answer.output_text


def test_an_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(sdk, model="nobody")
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id


def test_a_request_that_the_model_rejects_is_the_sdks_bad_request(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        ask(sdk, temperature=-1)


@pytest.mark.parametrize("streaming", [True, False])
async def test_cancelling_the_async_sdk_frees_the_engine(platform: Platform, streaming: bool) -> None:
    predictor, chat = platform.predictor_url(MODEL), {"role": "user", "content": QUESTION}
    options: Any = {"model": MODEL, "messages": [chat], "max_tokens": 1900, "extra_body": {"ignore_eos": True}}
    before = metric(predictor, "vllm:generation_tokens_total")
    async with openai.AsyncOpenAI(base_url=f"{platform.url}/v1", api_key=KEY, max_retries=0) as client:
        task: asyncio.Future[Any] = asyncio.ensure_future(client.chat.completions.create(**options, stream=streaming))
        await asyncio.to_thread(eventually, lambda: metric(predictor, "vllm:num_requests_running") == 1, "it runs")
        if streaming:
            await (await task).close()
        else:
            task.cancel()
    await asyncio.to_thread(eventually, lambda: metric(predictor, "vllm:num_requests_running") == 0, "the engine rests")
    assert metric(predictor, "vllm:generation_tokens_total") - before < 1900
    assert metric(platform.url, "gateway_cancelled_total", f'model="{MODEL}"') > 0
    assert task.cancelled() != streaming


def test_langchain_asks_and_streams(platform: Platform) -> None:
    model = ChatOpenAI(model=MODEL, base_url=f"{platform.url}/v1", api_key=SecretStr(KEY), temperature=0, max_retries=0)
    whole = model.invoke(QUESTION)
    assert whole.content
    assert whole.usage_metadata is not None
    assert "".join(str(part.content) for part in model.stream(QUESTION)) == whole.content


def test_tritonclient_over_http(platform: Platform) -> None:
    with closing(tritonclient.http.InferenceServerClient(platform.url.removeprefix("http://"))) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.get_server_metadata()["name"] == "switchyard"
        assert {row["name"] for row in client.get_model_repository_index()} >= {MODEL, "embed"}
        assert client.is_model_ready(MODEL)
        assert not client.is_model_ready("nobody")
        metadata = client.get_model_metadata(MODEL)
        assert metadata["inputs"][0]["name"] == "text_input"
        asked = tritonclient.http.InferInput("text_input", [1], "BYTES")
        asked.set_data_from_numpy(TEXTS, binary_data=True)
        wanted = [tritonclient.http.InferRequestedOutput("text_output", binary_data=True)]
        binary = client.infer(MODEL, [asked], outputs=wanted, parameters={"temperature": 0})
        wanted = [tritonclient.http.InferRequestedOutput("text_output", binary_data=False)]
        plain = client.infer(MODEL, [asked], outputs=wanted, parameters={"temperature": 0})
    assert binary.as_numpy("text_output")[0].decode() == plain.as_numpy("text_output")[0]


def test_tritonclients_binary_tensors_pass_a_graph(platform: Platform) -> None:
    asked = tritonclient.http.InferInput("text_input", [1], "BYTES")
    asked.set_data_from_numpy(TEXTS, binary_data=True)
    with closing(tritonclient.http.InferenceServerClient(platform.url.removeprefix("http://"))) as client:
        answer = client.infer("canary", [asked], parameters={"temperature": 0, "max_tokens": 2})
        assert client.get_model_metadata("canary")["name"] == "canary"
    assert answer.as_numpy("text_output").shape == (1,)


def test_tritonclient_over_grpc(platform: Platform) -> None:
    with closing(tritonclient.grpc.InferenceServerClient(platform.grpc_target)) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.get_server_metadata().name == "switchyard"
        assert {row.name for row in client.get_model_repository_index().models} >= {MODEL, "embed"}
        assert client.is_model_ready(MODEL)
        assert client.get_model_metadata(MODEL).inputs[0].name == "text_input"
        asked = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
        asked.set_data_from_numpy(TEXTS)
        answer = client.infer(MODEL, [asked], parameters={"temperature": 0.0})
        with pytest.raises(tritonclient.grpc.InferenceServerException) as unknown:
            client.infer("nobody", [asked])
    assert answer.as_numpy("completion_tokens")[0] > 0
    assert unknown.value.status() == "StatusCode.NOT_FOUND"


def test_tritonclient_streams_a_models_tokens(platform: Platform) -> None:
    asked = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
    asked.set_data_from_numpy(TEXTS)
    seen: queue.Queue[Any] = queue.Queue()
    with closing(tritonclient.grpc.InferenceServerClient(platform.grpc_target)) as client:
        whole = client.infer(MODEL, [asked], parameters={"temperature": 0.0}).as_numpy("text_output")[0]
        client.start_stream(lambda result, error: seen.put(error or result))
        client.async_stream_infer(MODEL, [asked], parameters={"temperature": 0.0})
        client.stop_stream()  # after the last response
    chunks = [result.as_numpy("text_output")[0] for result in seen.queue]
    assert len(chunks) > 3
    assert b"".join(chunks) == whole


def test_anthropics_client_counts_tokens(platform: Platform) -> None:
    with anthropic.Anthropic(base_url=platform.url, api_key=KEY, max_retries=0) as client:
        counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": QUESTION}])
        made = client.messages.create(model=MODEL, max_tokens=1, messages=[{"role": "user", "content": QUESTION}])
        with pytest.raises(anthropic.NotFoundError, match="does not exist"):
            client.messages.count_tokens(model="nobody", messages=[{"role": "user", "content": QUESTION}])
    assert counted.input_tokens == made.usage.input_tokens > 0


def test_kserves_rest_and_grpc_clients(platform: Platform) -> None:
    argv = [sys.executable, "-m", "tests.live.kserve_clients", platform.url, platform.grpc_target, MODEL]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["rest"]["text"]
    assert seen["rest"] == seen["grpc"] == {"live": True, "ready": True, "model ready": True, **seen["rest"]}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/llm/chat", {"prompt": "Hello", "system": "Be brief.", "max_tokens": 8}, "text"),
        ("/generate", {"text": "Hello", "max_tokens": 8}, "text"),
        ("/v1/messages", {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]}, "content"),
        ("/v1/completions", {"model": MODEL, "prompt": "Hello", "max_tokens": 8}, "choices"),
        ("/tokenize", {"model": MODEL, "prompt": "Hello"}, "tokens"),
        ("/openai/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}, "choices"),
        ("/v1/score", {"model": "embed", "text_1": "a small cat", "text_2": "a kitten"}, "data"),
    ],
)
def test_every_form_of_a_question_is_answered(curl: httpx.Client, path: str, body: object, field: str) -> None:
    answer = curl.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()[field]


@pytest.mark.parametrize("path", ["/v1/llm/chat", "/generate"])
def test_a_short_form_streams_chunks_of_text(curl: httpx.Client, path: str) -> None:
    body = {"prompt" if path == "/v1/llm/chat" else "text": "Hello", "max_tokens": 8, "stream": True}
    blocks = curl.post(path, json=body).text.strip().split("\n\n")
    # A stream whose model still wakes has comments first.
    *events, done = [block for block in blocks if not block.startswith(":")]
    assert done == "data: [DONE]"
    assert "".join(json.loads(event.removeprefix("data: "))["text"] for event in events)


@pytest.mark.parametrize("path", ["/v1/chat/chat-fast", "/v1/code/chat-fast"])
def test_plain_text_in_streams_plain_text_out(curl: httpx.Client, path: str) -> None:
    with curl.stream("POST", path, content=QUESTION) as answer:
        chunks = list(answer.iter_text())
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "content-length" not in answer.headers
    assert "".join(chunks).strip()
    assert "data:" not in "".join(chunks)


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_operators_pages_are_there(curl: httpx.Client, path: str) -> None:
    assert curl.get(path).status_code == 200


def test_the_gateways_metrics_count_what_was_asked(curl: httpx.Client, platform: Platform) -> None:
    labels = ('route="/v1/llm/chat"', f'model="{MODEL}"', 'code="200"')
    before = metric(platform.url, "gateway_requests_total", *labels)
    assert curl.post("/v1/llm/chat", json={"prompt": "Hello", "max_tokens": 2}).status_code == 200
    assert metric(platform.url, "gateway_requests_total", *labels) == before + 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/models", None, 200),
        ("GET", "/health", None, 200),
        ("GET", "/v2/health/ready", None, 200),
        ("GET", f"/v2/models/{MODEL}", None, 200),
        ("POST", "/v1/llm/chat", {"prompt": "Hello", "max_tokens": 2}, 200),
        ("POST", "/generate", {"text": "Hello", "max_tokens": 2, "stream": True}, 200),
        ("POST", "/v1/chat/completions", {"model": MODEL, "messages": "Hello"}, 400),
        ("POST", "/v1/chat/completions", {"model": "embed", "messages": []}, 400),
        ("POST", "/v1/embeddings", {"model": "nobody", "input": "Hello"}, 404),
        ("POST", "/v2/models/nobody/infer", {}, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/v1/models", None, 405),
    ],
)
def test_every_response_carries_the_callers_request_id(
    curl: httpx.Client, method: str, path: str, body: object, status: int
) -> None:
    answer = curl.request(method, path, json=body, headers={"x-request-id": "asked-by-a-test"})
    assert answer.status_code == status, answer.text
    assert answer.headers.get_list("x-request-id") == ["asked-by-a-test"]
    assert status == 200 or answer.json()["error"]
