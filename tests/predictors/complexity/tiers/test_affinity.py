import asyncio
from pathlib import Path
from typing import Any

import pytest

from predictors.complexity.tiers.affinity import (
    IDLE_SECONDS,
    MAX_WRITES,
    Affinity,
    ConversationState,
    ConversationStateError,
    keys,
    opens_topic,
)
from predictors.complexity.tiers.conversation import read
from switchyard.store.contract import StoreError
from switchyard.store.sqlite import SqliteStore


def chat(*turns: str, system: str = "", **fields: Any) -> dict[str, Any]:
    """User and assistant in turn."""
    messages = [{"role": ("user", "assistant")[place % 2], "content": turn} for place, turn in enumerate(turns)]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *messages], **fields}


def keys_of(body: dict[str, Any], named: str = "", tenant: str = "") -> tuple[str, str]:
    return keys(body, read(body), named, tenant)


def test_each_turn_finds_what_the_turn_before_it_left() -> None:
    turns = ["Hello", "Hi!", "What is 3 + 4?", "7", "And 5 more?", "12", "Thanks"]
    last = ""
    for count in (1, 3, 5, 7):
        before, now = keys_of(chat(*turns[:count], system="Be kind."))
        assert count == 1 or before == last
        last = now


def test_conversations_that_begin_alike_part_at_their_second_turn() -> None:
    one, other = chat("Hello", "Hi!", "What is 3 + 4?"), chat("Hello", "Hi!", "Tell me a joke.")

    assert keys_of(one)[0] == keys_of(other)[0]
    assert keys_of(one)[1] != keys_of(other)[1]


def test_tenants_never_share_a_conversation() -> None:
    assert keys_of(chat("Hello"), tenant="a") != keys_of(chat("Hello"), tenant="b")
    assert keys_of(chat("Hello"), named="x", tenant="a") != keys_of(chat("Hello"), named="x", tenant="b")


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": "x"},
        {"conversation": {"id": "x"}},
        {"prompt_cache_key": "x"},
        {"metadata": {"conversation_id": "x"}},
    ],
)
def test_a_conversation_that_has_a_name_is_known_by_it(fields: dict[str, Any]) -> None:
    assert keys_of(chat("Hello", **fields)) == keys_of(chat("Bye"), named="x")


def test_no_text_is_in_a_key() -> None:
    assert "secret" not in "".join(keys_of(chat("secret words"), named="secret"))


@pytest.mark.parametrize(
    ("turn", "opens"),
    [
        ("Thanks!", False),
        ("And with 5 more?", False),
        ("Which pens did Ana lose yesterday evening?", False),
        ("Why is that so difficult for children?", False),
        ("Write a poem about mountain rivers.", True),
        ("Translate 'good morning' into Italian language", True),
    ],
)
def test_a_turn_opens_a_topic_when_it_shares_and_refers_to_nothing(turn: str, opens: bool) -> None:
    assert opens_topic(turn, "Ana has 12 pens and loses 3. How many pens does she have?") is opens


def test_a_lean_grows_with_the_known_prefix_up_to_a_bound_and_ends_when_the_cache_is_cold() -> None:
    def bias(tokens: int, idle: float = 0.0) -> float:
        return ConversationState("reasoning", 1000.0, tokens).bias(1000.0 + idle)

    assert bias(10) == 0.0
    assert 0 < bias(100) < bias(1000) < bias(100_000) == bias(1_000_000) == 1.0
    assert bias(1000, IDLE_SECONDS + 1) == 0.0
    assert ConversationState("fast", 1000.0, 1000).bias(1000.0) == -bias(1000)


def test_a_state_survives_the_store() -> None:
    state = ConversationState("fast", 1234.5, 67)

    assert ConversationState.loads(state.dumps()) == state


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'["slow", 1, 2]', b'["fast", "x", 2]', b"\xff", b"3"])
def test_what_is_no_state_is_reported(value: bytes) -> None:
    with pytest.raises(ConversationStateError):
        ConversationState.loads(value)


async def test_a_store_that_lags_far_behind_is_given_no_more() -> None:
    """A store in which nothing is ever done."""

    class Stuck:
        async def get(self, key: str) -> bytes | None:
            return None

        async def put(self, key: str, value: bytes, *, ttl: float) -> None:
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            return

    affinity = Affinity(Stuck())
    waiting = [
        asyncio.ensure_future(affinity.remember("x", ConversationState("fast", 0.0, 0))) for _ in range(MAX_WRITES)
    ]
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="lags"):
        await affinity.remember("x", ConversationState("fast", 0.0, 0))

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(TimeoutError):  # there is room again
        await asyncio.wait_for(affinity.remember("x", ConversationState("fast", 0.0, 0)), 0.01)


async def test_a_broken_state_is_an_error_of_the_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.put("conversation:x", b"broken", ttl=60)

    with pytest.raises(StoreError, match="cannot be read"):
        await Affinity(store).recall("conversation:x")
    await store.aclose()
