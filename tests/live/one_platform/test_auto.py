"""``model: auto``: the graph sends each prompt to the tier that its difficulty asks for, and streams the answer."""

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.live.platform import Platform, http_client
from tests.live.processes import DEADLINE, KEY, eventually

pytestmark = pytest.mark.live

EASY = "Hello"
HARD = "Tom has 12 apples. He buys 7 more, gives 5 away and then buys 20 more. How many apples does he have now?"
TIERS = {"fast": "chat-fast", "reasoning": "chat-reasoning"}


@pytest.fixture(scope="module")
def sdk(platform: Platform) -> OpenAI:
    """A client of a platform whose models are awake: a stream that waits for one to wake gets its head before that."""
    made = OpenAI(base_url=platform.url + "/v1", api_key=KEY, timeout=DEADLINE, max_retries=0)
    for model in TIERS.values():
        made.chat.completions.create(model=model, messages=[{"role": "user", "content": EASY}], max_tokens=1)
    return made


def ask(sdk: OpenAI, *turns: str) -> tuple[Mapping[str, str], set[str], str]:
    """Headers, models and text of a streamed answer to a conversation whose turns alternate."""
    roles = ("user", "assistant")
    messages: list[Any] = [{"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)]
    with sdk.chat.completions.with_streaming_response.create(
        model="auto", messages=messages, max_tokens=60, stream=True
    ) as answer:
        chunks = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    return answer.headers, {chunk["model"] for chunk in chunks}, text


def test_an_easy_prompt_is_answered_by_the_fast_tier_and_says_so(sdk: OpenAI) -> None:
    headers, models, text = ask(sdk, EASY)

    assert (headers["x-switchyard-tier"], models) == ("fast", {"chat-fast"})
    assert headers["x-switchyard-reason"] == "classifier"
    assert 0 <= float(headers["x-switchyard-share"]) <= 1
    assert float(headers["x-switchyard-score"]) < 0
    assert text


def test_a_problem_of_three_steps_is_answered_by_the_reasoning_tier(sdk: OpenAI) -> None:
    headers, models, text = ask(sdk, HARD)

    assert (headers["x-switchyard-tier"], models) == ("reasoning", {"chat-reasoning"})
    assert "34" in text


def test_a_follow_up_stays_with_the_tier_that_responded_before(sdk: OpenAI) -> None:
    _, _, answer = ask(sdk, HARD)
    headers, models, _ = ask(sdk, HARD, answer, "And if he eats one of them?")

    assert (headers["x-switchyard-reason"], models) == ("affinity", {"chat-reasoning"})


def test_a_choice_of_the_client_is_kept(platform: Platform) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": EASY}], "max_tokens": 8}
    with http_client(platform) as client:
        answer = client.post("/v1/chat/completions", json={**body, "reasoning_effort": "high"})

    assert (answer.headers["x-switchyard-reason"], answer.json()["model"]) == ("reasoning-flag", "chat-reasoning")


def test_the_official_client_streams_it_as_any_other_model(sdk: OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": EASY}]
    chunks = list(sdk.chat.completions.create(model="auto", messages=messages, max_tokens=16, stream=True))

    assert chunks[-1].choices[0].finish_reason
    assert len(chunks) > 2


def test_a_malformed_chat_is_told_what_is_wrong_with_it(platform: Platform) -> None:
    with http_client(platform) as client:
        answer = client.post("/v1/chat/completions", json={"model": "auto", "messages": "hello"})

    assert answer.status_code == 400
    assert "messages" in answer.json()["error"]["message"]


def test_status_shows_what_was_decided(platform: Platform, sdk: OpenAI) -> None:
    ask(sdk, EASY)
    told = platform.command("status")

    (line,) = [line for line in told.stdout.splitlines() if line.startswith("complexity:")]
    assert "fast" in line
    assert "target 0.35" in line
    rows = {line.split()[0] for line in told.stdout.splitlines() if line.strip()}
    assert {"auto", "complexity"} <= rows


@pytest.mark.parametrize("part", ["auto", "complexity"])
def test_a_killed_part_of_the_graph_comes_back(platform: Platform, sdk: OpenAI, part: str) -> None:
    before = platform.row(part)["pid"]
    os.kill(before, signal.SIGKILL)

    def answers() -> bool:
        try:
            return ask(sdk, EASY)[1] == {"chat-fast"}
        except openai.APIError:
            return False

    eventually(answers, f"{part} answers again")
    assert platform.row(part)["pid"] != before
