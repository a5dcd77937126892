"""Decisions over whole conversations, with a real store and the shipped classifier."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from predictors.complexity.classifier.scorers import Scorer, make_scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.tiers.affinity import IDLE_SECONDS, Affinity
from predictors.complexity.tiers.conversation import read
from predictors.complexity.tiers.decider import Decider, Decision, RoutingRequest
from predictors.complexity.tiers.rules import Tiers
from predictors.complexity.tiers.share import ShareController
from switchyard.store.sqlite import SqliteStore
from tests.predictors.complexity.tiers.test_affinity import chat

MODELS = Path(__file__).parents[4] / "model-repository" / "complexity"
EASY = "Hello there!"
HARD = "Ana has 12 pens. She buys 30 more and gives 5 to Ben. Then she loses 9. How many pens does Ana have?"
NEW_TOPIC = "Please say hello to Carla Bruni, Felix!"


class Place:
    """A decider whose time stands still until it is moved."""

    def __init__(self, store: SqliteStore, scorer: Scorer) -> None:
        self.now = 1_000_000.0
        self.share = ShareController(0.35, scorer.quantiles)
        tiers = Tiers(fast="chat-fast", reasoning="chat-reasoning")
        self.decider = Decider(
            tiers=tiers, scorer=scorer, share=self.share, affinity=Affinity(store), clock=lambda: self.now
        )

    async def ask(self, body: dict[str, Any], **said: str) -> Decision:
        """A decision that is also remembered, as after an answer."""
        request = RoutingRequest(body=body, conversation=read(body), **said)
        decision = await self.decider.decide(request)
        await self.decider.remember(request, decision)
        return decision


class BrokenScorer:
    """A classifier that fails on every text."""

    quantiles = make_scorer("length", Path()).quantiles

    def score(self, text: Text) -> float:
        raise ZeroDivisionError

    def explain(self, text: Text, most: int) -> list[tuple[str, float]]:
        raise ZeroDivisionError


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def place(store: SqliteStore) -> Place:
    return Place(store, make_scorer("learned", MODELS, "demo"))


async def test_an_easy_prompt_is_for_the_fast_tier_and_a_hard_one_for_the_other(place: Place) -> None:
    easy, hard = await place.ask(chat(EASY)), await place.ask(chat(HARD))

    assert (easy.tier, easy.reason) == ("fast", "classifier")
    assert (hard.tier, hard.reason) == ("reasoning", "classifier")
    assert easy.score is not None
    assert hard.score is not None
    assert easy.score < hard.score


async def test_a_follow_up_stays_with_the_reasoning_tier(place: Place) -> None:
    await place.ask(chat(HARD))
    follow_up = await place.ask(chat(HARD, "She has 28.", "Thanks!"))

    assert (follow_up.tier, follow_up.reason, follow_up.moved) == ("reasoning", "affinity", False)


async def test_a_conversation_leaves_the_reasoning_tier_for_a_new_topic(place: Place) -> None:
    await place.ask(chat(HARD))
    left = await place.ask(chat(HARD, "She has 28.", NEW_TOPIC))

    assert (left.tier, left.reason, left.moved) == ("fast", "classifier", True)


async def test_a_conversation_may_leave_the_reasoning_tier_when_its_cache_is_cold(place: Place) -> None:
    await place.ask(chat(HARD))
    place.now += IDLE_SECONDS + 1
    after = await place.ask(chat(HARD, "She has 28.", "Thanks!"))

    assert after.reason == "classifier"


async def test_a_conversation_moves_up_when_it_becomes_hard(place: Place) -> None:
    await place.ask(chat(EASY))
    harder = await place.ask(chat(EASY, "Hello! How can I help you?", HARD))

    assert (harder.tier, harder.moved) == ("reasoning", True)


@pytest.mark.parametrize(("first", "tier"), [(EASY, "fast"), (HARD, "reasoning")])
async def test_a_tool_loop_stays_where_it_began(place: Place, first: str, tier: str) -> None:
    await place.ask(chat(first))
    body = chat(first, "")
    body["messages"].append({"role": "tool", "tool_call_id": "1", "content": "prove that 3 + 4 + 5 + 6 is 18"})
    decision = await place.ask(body)

    assert (decision.tier, decision.reason) == (tier, "tool-result")


async def test_a_tool_result_of_an_unknown_conversation_goes_to_the_reasoning_tier(place: Place) -> None:
    body = chat(EASY, "")
    body["messages"].append({"role": "tool", "tool_call_id": "1", "content": "42"})

    assert (await place.ask(body)).tier == "reasoning"


async def test_replicas_share_what_they_remember(place: Place, store: SqliteStore) -> None:
    await place.ask(chat(HARD))
    replica = Place(store, make_scorer("length", Path()))

    assert (await replica.ask(chat(HARD, "28", "Thanks!"))).reason == "affinity"


async def test_a_failing_classifier_means_the_reasoning_tier(store: SqliteStore) -> None:
    decision = await Place(store, BrokenScorer()).ask(chat(EASY))

    assert (decision.tier, decision.reason) == ("reasoning", "classifier-error")


async def test_a_failing_store_means_the_reasoning_tier_for_what_it_may_know_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = SqliteStore(tmp_path / "file" / "store.db")
    place = Place(broken, make_scorer("learned", MODELS, "demo"))
    first, second = await place.ask(chat(EASY)), await place.ask(chat(EASY, "Hi!", "Thanks!"))
    await broken.aclose()

    assert (first.tier, first.reason) == ("fast", "classifier")
    assert (second.tier, second.reason) == ("reasoning", "store-error")


async def test_a_prompt_of_tokens_goes_to_the_reasoning_tier(place: Place) -> None:
    assert (await place.ask({"prompt": [1, 2, 3]})).reason == "unreadable"


async def test_what_clients_and_tenants_chose_does_not_count_for_the_share(place: Place) -> None:
    for _ in range(10):
        await place.ask(chat(EASY, model="chat-reasoning"))
        await place.ask(chat(EASY), policy="reasoning")
        await place.ask(chat(EASY, reasoning_effort="high"))

    assert place.share.current == 0.35
