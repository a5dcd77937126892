"""Text in, text out: V2 requests sent to vLLM's own OpenAI application in this process.

Both protocols thus share one set of rules: validation, chat template, sampling defaults, usage and errors are vLLM's.
"""

import asyncio
import math
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from predictors.llm.in_process import InProcessResponse, post
from switchyard.http.asgi import App

# The parameters of a V2 request, by OpenAI's names (with vLLM's sampling extensions).
PARAMETERS = frozenset(
    {
        "max_tokens",
        "min_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "ignore_eos",
        "skip_special_tokens",
    }
)
CHAT_SWITCH = "chat"

T = TypeVar("T")


class InvalidRequestError(ValueError):
    """The request is not valid; the message is for the client."""


class GenerationError(RuntimeError):
    """The model failed on a valid request."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One completion; counts are in tokens."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """One vector for one text."""

    values: tuple[float, ...]
    prompt_tokens: int


class TextModel:
    """Completes or embeds texts through an OpenAI application in this process."""

    def __init__(self, app: App, name: str, *, chat: bool) -> None:
        self._app = app
        self._name = name
        self._chat = chat

    async def complete(
        self, prompts: Sequence[str], parameters: Mapping[str, Any], headers: Mapping[str, str]
    ) -> list[Completion]:
        """Complete all prompts concurrently, in order.

        A prompt is a user's turn of a chat when the model has a chat template, unless the parameter ``chat`` is false.

        Raises:
            InvalidRequestError: a parameter is unknown or out of range, or a prompt does not fit the context.
            GenerationError: the model failed.
        """
        options = dict(parameters)
        chat = bool(options.pop(CHAT_SWITCH, self._chat))
        _check(options)
        return await _all(self._complete_one(prompt, chat, options, headers) for prompt in prompts)

    async def embed(self, texts: Sequence[str], headers: Mapping[str, str]) -> list[Embedding]:
        """Embed the texts: one vector per text, in order.

        Raises:
            InvalidRequestError: a text does not fit the context.
            GenerationError: the model failed.
        """
        return await _all(self._embed_one(text, headers) for text in texts)

    async def _complete_one(
        self, prompt: str, chat: bool, options: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Completion:
        if chat:
            messages = [{"role": "user", "content": prompt}]
            response = await self._call("/v1/chat/completions", {"messages": messages, **options}, headers)
            choice = response["choices"][0]
            text = choice["message"]["content"] or ""
        else:
            response = await self._call("/v1/completions", {"prompt": prompt, **options}, headers)
            choice = response["choices"][0]
            text = choice["text"]
        usage = response["usage"]
        return Completion(
            text=text,
            finish_reason=choice["finish_reason"] or "",
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
        )

    async def _embed_one(self, text: str, headers: Mapping[str, str]) -> Embedding:
        response = await self._call("/v1/embeddings", {"input": text}, headers)
        return Embedding(
            values=tuple(response["data"][0]["embedding"]), prompt_tokens=response["usage"]["prompt_tokens"]
        )

    async def _call(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        passed = {name: headers[name] for name in ("traceparent", "x-request-id") if name in headers}
        content = orjson.dumps({"model": self._name, **body})
        response = await post(self._app, path, content, passed)
        if response.status == 200:
            return orjson.loads(response.body)
        message = _error_message(response)
        if response.status < 500:
            raise InvalidRequestError(message)
        raise GenerationError(message)


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at once; when one fails, cancel the others, which nobody would get, and raise its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as err:
        raise err.exceptions[0] from None
    return [task.result() for task in tasks]


def _check(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        # vLLM ignores what it does not know. A misspelled ``max_tokens`` would then only show in the bill.
        if name not in PARAMETERS:
            raise InvalidRequestError(
                f"parameter {name!r} is unknown; use {', '.join(sorted(PARAMETERS | {CHAT_SWITCH}))}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequestError(f"parameter {name!r} is {value}; use a finite number")


def _error_message(response: InProcessResponse) -> str:
    try:
        return str(orjson.loads(response.body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"the model responded {response.status}"
