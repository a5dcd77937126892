"""Tools and schemas on a real engine: what is asked for is followed, and what cannot be is the client's fault."""

import json
from typing import Any

import pytest

from tests.live.processes import Predictor, fetch

pytestmark = pytest.mark.live

QUESTION = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"
SWITCH = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}},
    "required": ["on"],
    "additionalProperties": False,
}
NO_SCHEMA = {"type": "object", "properties": {"on": {"type": "any"}}}


def asked_with_tool(chat: Predictor, choice: object, parameters: object, **function: object) -> tuple[int, Any]:
    tool = {"type": "function", "function": {"name": "switch", "parameters": parameters, **function}}
    body = {"model": "chat-fast", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 200}
    status, answer = fetch(f"{chat.url}/openai/v1/chat/completions", {**body, "tools": [tool], "tool_choice": choice})
    return status, json.loads(answer)


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "switch"}}])
def test_a_tool_that_must_be_called_gets_arguments_of_its_schema(
    chat: Predictor, choice: object, strict: bool | None
) -> None:
    status, answer = asked_with_tool(chat, choice, SWITCH, strict=strict)
    assert status == 200, answer
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    # ``stop`` for a named one, as OpenAI has it.
    assert answer["choices"][0]["finish_reason"] in ("tool_calls", "stop")
    assert isinstance(json.loads(call["function"]["arguments"])["on"], bool)


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_tool_whose_schema_the_engine_cannot_follow_is_an_error_only_if_it_is_strict(
    chat: Predictor, choice: str
) -> None:
    status, answer = asked_with_tool(chat, choice, NO_SCHEMA)
    assert status == 200, answer
    status, answer = asked_with_tool(chat, choice, NO_SCHEMA, strict=True)
    assert (status, answer["error"]["code"]) == (400, "invalid_schema")
    assert "tool 'switch'" in answer["error"]["message"]
    assert "properties.on.type" in answer["error"]["message"]


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"type": "string", "pattern": "^a{1,1000}$"}])
def test_a_schema_that_no_text_can_follow_is_the_clients_fault(chat: Predictor, schema: object) -> None:
    body = {
        "model": "chat-fast",
        "messages": [{"role": "user", "content": QUESTION}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    }
    status, answer = fetch(f"{chat.url}/openai/v1/chat/completions", body)
    assert (status, json.loads(answer)["error"]["code"]) == (400, "invalid_schema")


@pytest.mark.parametrize("constraint", [{"grammar": "root ::= root"}, {"regex": r"[^\x00-\U0010ffff]"}])
def test_what_no_text_matches_is_the_clients_fault(chat: Predictor, constraint: object) -> None:
    body = {"model": "chat-fast", "messages": [{"role": "user", "content": QUESTION}], "structured_outputs": constraint}
    status, answer = fetch(f"{chat.url}/openai/v1/chat/completions", body)
    assert status == 400, answer
    assert json.loads(answer)["error"]["code"] == "invalid_schema"
