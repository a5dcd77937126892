"""Asks both models a sample of what went to the fast one, and keeps whether they agree: labels of one's own."""

import asyncio
import logging
import random
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from predictors.complexity.tiers.conversation import Conversation
from predictors.complexity.tiers.rules import Tiers
from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError
from switchyard.telemetry.metrics import RoutingMetrics

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 2
MOST_TOKENS = 512
ALIKE = 0.6  # overlap of words from which two answers without a number say the same
_TIMEOUTS = Timeouts(connect=5.0, first_byte=120.0, total=300.0)
_PATH = "/openai/v1/chat/completions"
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_KEPT = ("messages", "response_format", "stop", "seed", "logit_bias")


class NoAnswer(Exception):
    """A model did not give a text to compare."""


class Shadow:
    """``share`` (0..1) of the chats that are offered are asked of the two models at ``urls``, a few at a time.

    What cannot be asked at once is left out, never queued. A line of ``file`` holds the user's turns: whoever may read
    it may read them. No line is added beyond ``most_bytes``.
    """

    def __init__(
        self,
        *,
        client: Client,
        tiers: Tiers,
        urls: tuple[str, str],
        share: float,
        file: Path,
        most_bytes: int,
        metrics: RoutingMetrics,
        chance: random.Random,
    ) -> None:
        self._client = client
        self._models = ((tiers.fast, urls[0]), (tiers.reasoning, urls[1]))
        self._share = share
        self._file = file
        self._most_bytes = most_bytes
        self._counter = metrics.shadow
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, body: Mapping[str, Any], conversation: Conversation) -> None:
        """Perhaps asks; returns at once."""
        if self._chance.random() >= self._share or "messages" not in body or body.get("tools"):
            return
        if len(self._tasks) >= MOST_AT_ONCE:
            self._counter.labels("skipped").inc()
            return
        task = asyncio.get_running_loop().create_task(self._compare(body, conversation.user))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Gives up what is being asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _compare(self, body: Mapping[str, Any], turns: tuple[str, ...]) -> None:
        try:
            fast, reasoning = [await self._ask(model, url, body) for model, url in self._models]
            agree = agreement(fast, reasoning)
            line = orjson.dumps(
                {"prompt": list(turns), "fast": int(agree), "reasoning": 1}, option=orjson.OPT_APPEND_NEWLINE
            )
            await asyncio.to_thread(self._append, line)
        except (NoAnswer, UpstreamError, OSError) as err:
            logger.warning("no label: %s", err)
            self._counter.labels("failed").inc()
            return
        self._counter.labels("agreed" if agree else "disagreed").inc()

    async def _ask(self, model: str, url: str, body: Mapping[str, Any]) -> str:
        asked = {name: body[name] for name in _KEPT if name in body}
        content = orjson.dumps(asked | {"model": model, "temperature": 0, "max_tokens": MOST_TOKENS})
        headers = [(b"content-type", b"application/json")]
        response = await self._client.request(b"POST", url + _PATH, headers, content, timeouts=_TIMEOUTS)
        answer = await response.read()
        if response.status != 200:
            raise NoAnswer(f"{model} answered {response.status}")
        try:
            text = orjson.loads(answer)["choices"][0]["message"]["content"]
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as err:
            raise NoAnswer(f"{model} answered something else than a chat completion") from err
        if not isinstance(text, str):
            raise NoAnswer(f"{model} answered without a text")
        return text

    def _append(self, line: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            if file.tell() + len(line) <= self._most_bytes:
                file.write(line)


def agreement(one: str, other: str) -> bool:
    """Whether two answers say the same: the same last number if one has numbers, else mostly the same words.

    The last number is where worked answers state their result, as graders of arithmetic take it.
    """
    numbers = [_NUMBER.findall(text) for text in (one, other)]
    if numbers[0] or numbers[1]:
        return bool(numbers[0] and numbers[1] and numbers[0][-1] == numbers[1][-1])
    words = [Counter(_WORD.findall(text.lower())) for text in (one, other)]
    common, every = (words[0] & words[1]).total(), words[0].total() + words[1].total()
    return every == 0 or 2 * common / every >= ALIKE
