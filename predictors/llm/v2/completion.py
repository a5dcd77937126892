"""Text in, text out: V2 requests sent to vLLM's own OpenAI application in this process.

Both protocols thus share one set of rules: validation, chat template, sampling defaults, usage and errors are vLLM's.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from predictors.llm.in_process import InProcessResponse, messages, post
from predictors.serving.faults import of_engine
from switchyard.http.asgi import App
from switchyard.http.headers import TENANT
from switchyard.http.sse import Events

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
_WITH_COUNTS = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}

_LEAST, _MOST = -(2**63), 2**63 - 1  # of numbers in the engine

T = TypeVar("T")


class InvalidRequestError(ValueError):
    """The request is not valid; the message is for the client, ``code`` a key of ``CODES``."""

    def __init__(self, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.code = code


class GenerationError(RuntimeError):
    """The model failed on a valid request."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One completion, or a chunk of one with the counts so far; ``finish_reason`` is empty but in the last."""

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
        options = _options(parameters)
        return await _all(self._complete_one(prompt, options, headers) for prompt in prompts)

    async def stream(
        self, prompt: str, parameters: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[Completion]:
        """Complete a prompt as ``complete`` does, and yield each chunk of its text as it is generated.

        Raises:
            InvalidRequestError: as ``complete``, before the first chunk.
            GenerationError: the model failed.
        """
        path, body = self._request(prompt, {**_options(parameters), **_WITH_COUNTS})
        status, failed, events = 0, b"", Events()
        async with aclosing(messages(self._app, path, body, _passed(headers))) as sent:
            async for message in sent:
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif status != 200:
                    failed += message.get("body", b"")
                else:
                    for data in events.feed(message.get("body", b"")):
                        if (chunk := _chunk(data)) is not None:
                            yield chunk
        if status != 200:
            raise _error(InProcessResponse(status=status, body=failed))

    async def embed(self, texts: Sequence[str], headers: Mapping[str, str]) -> list[Embedding]:
        """Embed the texts: one vector per text, in order.

        Raises:
            InvalidRequestError: a text does not fit the context.
            GenerationError: the model failed.
        """
        return await _all(self._embed_one(text, headers) for text in texts)

    async def _complete_one(self, prompt: str, options: Mapping[str, Any], headers: Mapping[str, str]) -> Completion:
        response = await self._call(*self._request(prompt, options), headers)
        choice, usage = response["choices"][0], response["usage"]
        return Completion(
            text=(choice["message"]["content"] if "message" in choice else choice["text"]) or "",
            finish_reason=choice["finish_reason"] or "",
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
        )

    def _request(self, prompt: str, options: Mapping[str, Any]) -> tuple[str, bytes]:
        """Return the path and the body of the OpenAI request."""
        rest = {"model": self._name, **options}
        if rest.pop(CHAT_SWITCH, self._chat):
            return "/v1/chat/completions", orjson.dumps({**rest, "messages": [{"role": "user", "content": prompt}]})
        return "/v1/completions", orjson.dumps({**rest, "prompt": prompt})

    async def _embed_one(self, text: str, headers: Mapping[str, str]) -> Embedding:
        body = orjson.dumps({"model": self._name, "input": text})
        response = await self._call("/v1/embeddings", body, headers)
        return Embedding(
            values=tuple(response["data"][0]["embedding"]), prompt_tokens=response["usage"]["prompt_tokens"]
        )

    async def _call(self, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        response = await post(self._app, path, body, _passed(headers))
        if response.status == 200:
            return orjson.loads(response.body)
        raise _error(response)


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at once; when one fails, cancel the others, which nobody would get, and raise its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as err:
        raise err.exceptions[0] from None
    return [task.result() for task in tasks]


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in ("traceparent", "x-request-id", TENANT.decode()) if name in headers}


def _options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in parameters.items():
        # vLLM ignores what it does not know. A misspelled ``max_tokens`` would then only show in the bill.
        if name not in PARAMETERS and name != CHAT_SWITCH:
            raise InvalidRequestError(
                f"parameter {name!r} is unknown; use {', '.join(sorted(PARAMETERS | {CHAT_SWITCH}))}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequestError(f"parameter {name!r} is {value}; use a finite number")
        if isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise InvalidRequestError(f"parameter {name!r} is a number of more than 64 bits; use a smaller one")
    try:
        orjson.dumps(parameters)
    except TypeError as err:
        raise InvalidRequestError(f"a parameter cannot be written as JSON: {err}") from err
    return dict(parameters)


def _chunk(data: bytes) -> Completion | None:
    """Return the completion's chunk in an event of an OpenAI stream, None for one without text or end."""
    if data == b"[DONE]":
        return None
    event = orjson.loads(data)
    if "error" in event:
        raise GenerationError(str(event["error"].get("message")))
    if not event["choices"]:
        return None
    choice, usage = event["choices"][0], event.get("usage") or {}
    text = (choice["delta"].get("content") if "delta" in choice else choice["text"]) or ""
    if not text and not choice["finish_reason"]:
        return None
    return Completion(
        text=text,
        finish_reason=choice["finish_reason"] or "",
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
    )


def _error(response: InProcessResponse) -> Exception:
    error = of_engine(response.status, response.body)
    return InvalidRequestError(error.message, error.code) if response.status < 500 else GenerationError(error.message)
