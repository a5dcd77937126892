"""Requests that are odd or wrong, to a real language model: nulls, clients' defaults, and what faults are called."""

import json

import pytest

from tests.live.processes import Predictor, fetch

pytestmark = pytest.mark.live

TENSOR = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["Hello"]}
USER = {"role": "user", "content": "Hello", "name": None}
# Optional fields as OpenAI's and Anthropic's APIs have them; clients in typed languages send all of them.
NULLS: dict[str, tuple[dict[str, object], str]] = {
    "/v1/chat/completions": (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": None, "refusal": None}, USER]},
        "temperature top_p n stream stop max_completion_tokens presence_penalty frequency_penalty logit_bias user seed "
        "tools tool_choice response_format logprobs top_logprobs stream_options parallel_tool_calls service_tier store "
        "metadata reasoning_effort modalities audio prediction",
    ),
    "/v1/completions": (
        {"prompt": "Hello"},
        "suffix temperature top_p n stream logprobs echo stop presence_penalty frequency_penalty best_of logit_bias "
        "user seed stream_options",
    ),
    "/v1/responses": (
        {"input": [{"role": "user", "content": "Hello", "id": None, "status": None}], "max_output_tokens": 16},
        "instructions temperature top_p stream tools tool_choice metadata store previous_response_id reasoning text "
        "truncation user include parallel_tool_calls background max_tool_calls prompt service_tier top_logprobs",
    ),
    "/v1/messages": (
        {"messages": [{"role": "user", "content": "Hello"}]},
        "system temperature top_p top_k stream stop_sequences metadata tools tool_choice thinking service_tier",
    ),
}


@pytest.mark.parametrize("path", NULLS)
def test_an_explicit_null_is_the_default_of_every_optional_field(chat: Predictor, path: str) -> None:
    needed, optional = NULLS[path]
    body = {"model": "chat-fast", "max_tokens": 3, **needed, **dict.fromkeys(optional.split())}
    status, answer = fetch(f"{chat.url}/openai{path}", body)
    assert status == 200, answer


@pytest.mark.parametrize(
    "body",
    [
        {"input": [[101, 7592, 102]]},  # LangChain's default: tokens, counted by the client
        {"input": [101, 7592, 102], "encoding_format": "base64"},  # the openai SDK's
        {"input": "Hello", "encoding_format": None, "dimensions": None, "user": None},
        {"input": [[101, 7592, 102], [101, 102]], "encoding_format": None},
    ],
    ids=str,
)
def test_embeddings_take_what_clients_send_by_default(embed: Predictor, body: dict[str, object]) -> None:
    status, answer = fetch(f"{embed.url}/openai/v1/embeddings", {"model": "embed", **body})
    assert status == 200, answer
    given = body["input"]
    rows = len(given) if isinstance(given, list) and isinstance(given[0], list) else 1
    assert len(json.loads(answer)["data"]) == rows


FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("/v1/chat/completions", {}, "messages is missing"),
    ("/v1/chat/completions", {"messages": [USER], "temperature": "hot"}, 'temperature must be a number, not "hot"'),
    ("/v1/chat/completions", {"messages": [USER], "stop": 5}, "stop must be a string or a list, not 5"),
    (
        "/v1/chat/completions",
        {"messages": [{**USER, "content": [{"type": "x"}]}]},
        "content[0].type must be 'text' or ",
    ),
    ("/v1/chat/completions", {"messages": [USER], "max_tokens": 0}, "max_tokens must be at least 1, got 0."),
    (
        "/v1/chat/completions",
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[" * 10_000}}]}]},
        "messages[0].tool_calls[0].function.arguments is nested more than ",
    ),
    (
        "/v1/chat/completions",
        {"messages": [USER], "tools": [{}], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        "tools[0] must be ",
    ),
    (
        "/v1/chat/completions",
        {"messages": [USER], "chat_template_kwargs": {"messages": []}},
        "chat_template_kwargs.mes",
    ),
    ("/v1/completions", {"prompt": {}}, "prompt must be "),
    ("/v1/responses", {}, "input is missing"),
    ("/v1/messages", {"messages": [USER]}, "max_tokens is missing"),
    ("/v1/nope", {}, "POST /openai/v1/nope is not served here"),
    ("/tokenize", {}, "prompt is missing"),
]


@pytest.mark.parametrize(("path", "body", "sentence"), FAULTS, ids=[row[2] for row in FAULTS])
def test_what_vllm_finds_wrong_is_said_in_a_sentence_with_a_code(
    chat: Predictor, path: str, body: dict[str, object], sentence: str
) -> None:
    status, answer = fetch(f"{chat.url}/openai{path}", {"model": "chat-fast", **body})
    error = json.loads(answer)["error"]
    assert (status, error["message"].startswith(sentence)) == (404 if "nope" in path else 400, True), error
    assert "{'" not in error["message"]
    code = error["details"]["error_code"] if path == "/v1/messages" else error["code"]
    assert code in ("invalid_value", "not_found")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "inputs is missing"),
        ({"inputs": [{"name": "text_input"}]}, "inputs[0].shape is missing; inputs[0].datatype is missing"),
        (
            {"inputs": [{"name": "text_input", "shape": "x", "datatype": "BYTES", "data": []}]},
            "inputs[0].shape must be",
        ),
        ({"inputs": [TENSOR], "parameters": {"max_tokens": "x"}}, 'max_tokens must be a whole number, not "x"'),
        ({"inputs": [{**TENSOR, "data": [5]}]}, "the data of input 'text_input' must be texts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_kserve_finds_wrong_is_said_in_a_sentence_with_a_code(
    chat: Predictor, body: dict[str, object], sentence: str
) -> None:
    status, answer = fetch(f"{chat.url}/v2/models/chat-fast/infer", body)
    error = json.loads(answer)
    assert (status, error["code"], error["error"][: len(sentence)]) == (400, "invalid_value", sentence)


A_LOT = "a" * 1_000_000
TOO_LONG: dict[str, dict[str, object]] = {
    "/tokenize": {"prompt": A_LOT},
    "/v1/completions": {"prompt": A_LOT, "truncate_prompt_tokens": 20},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": A_LOT}]},
    "/v1/responses": {"input": A_LOT},
    "/v1/messages": {"messages": [{"role": "user", "content": A_LOT}], "max_tokens": 3},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": A_LOT}]},
}


@pytest.mark.parametrize("path", TOO_LONG)
def test_a_text_that_is_too_long_to_be_tokenized_is_rejected_by_every_route(chat: Predictor, path: str) -> None:
    status, answer = fetch(f"{chat.url}/openai{path}", {"model": "chat-fast", **TOO_LONG[path]})
    error = json.loads(answer)["error"]
    code = error["details"]["error_code"] if "messages" in path.split("/") else error["code"]
    assert (status, code) == (400, "context_length_exceeded"), error
    assert error.get("param") in (None, "prompt", "messages", "input")
