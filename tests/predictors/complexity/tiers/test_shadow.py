"""Shadow mode against two real HTTP servers that stand for the two models."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from predictors.complexity.tiers.conversation import read
from predictors.complexity.tiers.rules import Tiers
from predictors.complexity.tiers.shadow import MAX_CONCURRENT, Shadow, agreement
from predictors.complexity.training import labels
from switchyard.http.client import Client
from switchyard.telemetry.metrics.routing import RoutingMetrics
from tests.predictors.complexity.tiers.test_affinity import chat

DEADLINE = 20.0


class FakeModel:
    """Answers every chat with one text, once ``go`` is set, and keeps what it was asked."""

    def __init__(self, text: str, status: int = 200) -> None:
        self.text = text
        self.status = status
        self.asked: list[dict[str, Any]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self.go.set()
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        self.asked.append(json.loads(await reader.readexactly(length)))
        await self.go.wait()
        body = json.dumps({"choices": [{"message": {"content": self.text}}]}).encode()
        status = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        writer.write(f"{status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


class Stage:
    """Two models, and a shadow that asks them everything."""

    def __init__(self, folder: Path) -> None:
        self.fast, self.reasoning = FakeModel("It is 42."), FakeModel("40 + 2 = 42\nThe answer is 42.")
        self.file = folder / "kept" / "labels.jsonl"
        self.metrics = RoutingMetrics(CollectorRegistry())
        self.client = Client()

    async def start(self, most_bytes: int = 10_000, share: float = 1.0) -> None:
        self.shadow = Shadow(
            client=self.client,
            tiers=Tiers(fast="small", reasoning="large"),
            urls=(await self.fast.start(), await self.reasoning.start()),
            share=share,
            file=self.file,
            most_bytes=most_bytes,
            metrics=self.metrics,
            rng=random.Random(0),
        )

    def offer(self, body: dict[str, Any]) -> None:
        self.shadow.offer(body, read(body))

    def count(self, result: str) -> float:
        return float(self.metrics.shadow.labels(result)._value.get())

    async def until(self, result: str, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.count(result) < count:
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.shadow.aclose()
        await self.client.aclose()
        await self.fast.stop()
        await self.reasoning.stop()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    await made.stop()


async def test_an_agreement_becomes_a_label_that_training_reads(stage: Stage) -> None:
    await stage.start()
    stage.offer(chat("Hi", "Hello!", "What is 40 + 2?", model="auto", stream=True, temperature=1.0))
    await stage.until("agreed", 1)

    (asked,) = stage.fast.asked
    assert (asked["model"], asked["temperature"], "stream" in asked) == ("small", 0, False)
    assert stage.reasoning.asked[0]["model"] == "large"
    kept = labels.local(stage.file)
    assert kept.texts[0].whole == "Hi\nWhat is 40 + 2?"
    assert (kept.wrong[0], kept.gain[0]) == (0, 0)


async def test_a_disagreement_counts_for_the_reasoning_tier(stage: Stage) -> None:
    stage.fast.text = "It is 41."
    await stage.start()
    stage.offer(chat("What is 40 + 2?"))
    await stage.until("disagreed", 1)

    kept = labels.local(stage.file)
    assert (kept.wrong[0], kept.gain[0]) == (1, 1)


async def test_what_cannot_be_asked_at_once_is_left_out(stage: Stage) -> None:
    stage.fast.go.clear()
    await stage.start()
    for number in range(MAX_CONCURRENT + 3):
        stage.offer(chat(f"What is {number} + 2?"))

    assert stage.count("skipped") == 3
    stage.fast.go.set()
    await stage.until("agreed", MAX_CONCURRENT)


async def test_a_model_that_fails_gives_no_label(stage: Stage) -> None:
    stage.reasoning.status = 503
    await stage.start()
    stage.offer(chat("What is 40 + 2?"))
    await stage.until("failed", 1)

    assert not stage.file.exists()


async def test_the_file_is_bounded(stage: Stage) -> None:
    await stage.start(most_bytes=100)
    for _ in range(5):
        stage.offer(chat("What is 40 + 2?"))
        await stage.until("agreed", _ + 1)

    assert 0 < stage.file.stat().st_size <= 100


async def test_only_plain_chats_are_asked_twice(stage: Stage) -> None:
    await stage.start()
    stage.offer({"prompt": "What is 40 + 2?"})
    stage.offer(chat("What is 40 + 2?", tools=[{"type": "function"}]))
    await stage.shadow.aclose()

    assert not stage.fast.asked


async def test_a_share_of_the_offers_is_asked(stage: Stage) -> None:
    await stage.start(share=0.0)
    stage.offer(chat("What is 40 + 2?"))
    await stage.shadow.aclose()

    assert not stage.fast.asked


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The answer is 42.", "40 + 2 = 42\nThe answer is 42.", True),
        ("The answer is 41.", "The answer is 42.", False),
        ("Hello!", "It is 3.", False),
        ("Hello! How can I help you?", "Hello, how can I help?", True),
        ("Yes.", "No.", False),
        ("", "", True),
    ],
)
def test_answers_agree_by_their_result_or_their_words(one: str, other: str, same: bool) -> None:
    assert agreement(one, other) is same
