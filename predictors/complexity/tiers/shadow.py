"""Sends a sample of the fast tier's chats to both models and records whether they agree: labels from own traffic."""

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
from switchyard.telemetry.metrics.routing import RoutingMetrics

logger = logging.getLogger(__name__)

MAX_CONCURRENT = 2
MAX_TOKENS = 512
ALIKE = 0.6  # overlap of words from which two responses without a number count as the same
_TIMEOUTS = Timeouts(connect=5.0, first_byte=120.0, total=300.0)
_PATH = "/openai/v1/chat/completions"
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_KEPT = ("messages", "response_format", "stop", "seed", "logit_bias")


class NoLabelError(Exception):
    """A model did not respond with a text to compare."""


class Shadow:
    """Sends ``share`` (0..1) of the offered chats to the two models at ``urls``, a few at a time.

    A chat over that limit is skipped, never queued. A line of ``file`` holds the user's turns, so whoever may read the
    file may read them. No line is added beyond ``most_bytes``.
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
        rng: random.Random,
    ) -> None:
        self._client = client
        self._models = ((tiers.fast, urls[0]), (tiers.reasoning, urls[1]))
        self._share = share
        self._file = file
        self._most_bytes = most_bytes
        self._counter = metrics.shadow
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, body: Mapping[str, Any], conversation: Conversation) -> None:
        """Sample a chat; returns at once."""
        # Without tools: what a model would do next with them cannot be compared as text.
        if self._rng.random() >= self._share or "messages" not in body or body.get("tools"):
            return
        if len(self._tasks) >= MAX_CONCURRENT:
            self._counter.labels("skipped").inc()
            return
        task = asyncio.get_running_loop().create_task(self._compare(body, conversation.user))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Cancel the comparisons in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _compare(self, body: Mapping[str, Any], turns: tuple[str, ...]) -> None:
        try:
            # One after the other: a comparison must not take two slots from the clients' requests.
            fast, reasoning = [await self._complete(model, url, body) for model, url in self._models]
            agree = agreement(fast, reasoning)
            line = orjson.dumps(
                {"prompt": list(turns), "fast": int(agree), "reasoning": 1}, option=orjson.OPT_APPEND_NEWLINE
            )
            await asyncio.to_thread(self._append, line)
        except (NoLabelError, UpstreamError, OSError) as err:
            logger.warning("no label: %s", err)
            self._counter.labels("failed").inc()
            return
        self._counter.labels("agreed" if agree else "disagreed").inc()

    async def _complete(self, model: str, url: str, body: Mapping[str, Any]) -> str:
        request = {name: body[name] for name in _KEPT if name in body}
        request_body = orjson.dumps(request | {"model": model, "temperature": 0, "max_tokens": MAX_TOKENS})
        headers = [(b"content-type", b"application/json")]
        response = await self._client.request(b"POST", url + _PATH, headers, request_body, timeouts=_TIMEOUTS)
        content = await response.read()
        if response.status != 200:
            raise NoLabelError(f"{model} responded {response.status}")
        try:
            text = orjson.loads(content)["choices"][0]["message"]["content"]
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as err:
            raise NoLabelError(f"{model} did not respond with a chat completion") from err
        if not isinstance(text, str):
            raise NoLabelError(f"{model} responded without a text")
        return text

    def _append(self, line: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            if file.tell() + len(line) <= self._most_bytes:
                file.write(line)


def agreement(first: str, second: str) -> bool:
    """Whether two responses agree: the same last number if one has numbers, else mostly the same words.

    Worked solutions state their result as the last number, and graders of arithmetic compare it.
    """
    numbers = [_NUMBER.findall(text) for text in (first, second)]
    if numbers[0] or numbers[1]:
        return bool(numbers[0] and numbers[1] and numbers[0][-1] == numbers[1][-1])
    words = [Counter(_WORD.findall(text.lower())) for text in (first, second)]
    common, every = (words[0] & words[1]).total(), words[0].total() + words[1].total()
    return every == 0 or 2 * common / every >= ALIKE
