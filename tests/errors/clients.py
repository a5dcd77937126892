"""Official clients, each as one call that fails: what they raise is what a person sees."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import grpc.aio
import httpx
import numpy as np
import openai
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http
from tritonclient.utils import InferenceServerException

from switchyard.http.api_errors import Shape
from tests.switchyard.http.test_api_errors import ANTHROPIC, MESSAGES, OPENAI

_OPENAI = {status: kind for status, (kind, _) in OPENAI.items()} | {
    422: openai.UnprocessableEntityError,
    502: openai.InternalServerError,
}
_ANTHROPIC = {status: kind for status, (kind, _) in ANTHROPIC.items()} | {422: anthropic.UnprocessableEntityError}


class EventError(Exception):
    """An error in a stream of Triton's generate extension, for which no official client has a class."""


@dataclass(frozen=True)
class Seen:
    """What the person before a client sees: the exception's class, its status (0 where it has none) and its text."""

    kind: type[Exception]
    status: int | str
    text: str


@dataclass(frozen=True)
class Client:
    """A client by its name; ``ask`` sends one request and must raise; ``models`` are those that can be asked so."""

    name: str
    shape: Shape
    ask: Callable[[str, str], Awaitable[object]]
    streams: bool = False
    kind: str = "llm"

    async def seen(self, url: str, model: str) -> Seen | None:
        try:
            await self.ask(url, model)
        except openai.APIError as err:
            return Seen(type(err), getattr(err, "status_code", 0), err.message)
        except anthropic.APIStatusError as err:
            return Seen(type(err), err.status_code, str(err))
        except InferenceServerException as err:
            return Seen(type(err), err.status() or 0, str(err.message()))
        except EventError as err:
            return Seen(type(err), 0, str(err))
        except httpx.HTTPStatusError as err:
            return Seen(type(err), err.response.status_code, err.response.text)
        return None

    def expects(self, status: int, *, in_stream: bool) -> tuple[type[Exception], int | str]:
        """The class and status that an error has, as a response or as an event of a stream that had begun."""
        if in_stream:
            kinds: dict[Shape, type[Exception]] = {
                "openai": openai.APIError,
                "anthropic": anthropic.APIStatusError,
                "v2": EventError,
            }
            return kinds[self.shape], 200 if self.shape == "anthropic" else 0
        if self.shape == "openai" and self.kind != "vision":
            return _OPENAI[status], status
        if self.shape == "anthropic":
            return _ANTHROPIC[status], status
        return (InferenceServerException, str(status)) if self.name == "v2" else (httpx.HTTPStatusError, status)


def _openai(
    name: str, call: Callable[[openai.AsyncOpenAI, str, bool], Awaitable[object]], *, streams: bool, kind: str = "llm"
) -> Client:
    async def ask(url: str, model: str) -> None:
        async with openai.AsyncOpenAI(base_url=url + "/v1", **_options(openai)) as client:
            await _drained(await call(client, model, streams))

    return Client(name + (" stream" if streams else ""), "openai", ask, streams, kind)


def _options(sdk: Any) -> dict[str, Any]:
    """Clients without retries; those that verify no certificates start 20 ms sooner."""
    return {"api_key": "x", "max_retries": 0, "http_client": sdk.DefaultAsyncHttpxClient(verify=False)}


async def _drained(response: object) -> None:
    if isinstance(response, AsyncIterator):
        async for _ in response:
            pass


def _chat(client: Any, model: str, stream: bool) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)


def _completions(client: Any, model: str, stream: bool) -> Any:
    return client.completions.create(model=model, prompt="x", stream=stream)


def _responses(client: Any, model: str, stream: bool) -> Any:
    return client.responses.create(model=model, input="x", stream=stream)


def _embeddings(client: Any, model: str, stream: bool) -> Any:
    return client.embeddings.create(model=model, input="x", extra_body={"stream": True} if stream else {})


async def _messages(url: str, model: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, **_options(anthropic)) as client:
        await client.messages.create(model=model, max_tokens=1, messages=MESSAGES)


async def _messages_stream(url: str, model: str) -> None:
    async with (
        anthropic.AsyncAnthropic(base_url=url, **_options(anthropic)) as client,
        client.messages.stream(model=model, max_tokens=1, messages=MESSAGES) as stream,
    ):
        await stream.get_final_message()


async def _triton(url: str, model: str) -> None:
    client = triton_http.InferenceServerClient(url.removeprefix("http://"))
    tensor = triton_http.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["x"], dtype=np.object_), binary_data=False)
    try:
        await client.infer(model, [tensor])
    finally:
        await client.close()


async def _generate_stream(url: str, model: str) -> None:
    path = f"{url}/v2/models/{model}/generate_stream"
    async with (
        httpx.AsyncClient(verify=False, timeout=10) as client,
        client.stream("POST", path, json={"text_input": "x"}) as response,
    ):
        if response.is_error:
            await response.aread()
            response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith('data: {"error"'):
                raise EventError(json.loads(line.removeprefix("data: "))["error"])


def _posted(path: str, **how: Any) -> Callable[[str, str], Awaitable[object]]:
    async def ask(url: str, model: str) -> None:
        async with httpx.AsyncClient(verify=False, timeout=10) as client:
            (await client.post(url + path.replace("{model}", model), **how)).raise_for_status()

    return ask


CLIENTS = (
    *(_openai("chat", _chat, streams=streams) for streams in (False, True)),
    *(_openai("completions", _completions, streams=streams) for streams in (False, True)),
    *(_openai("responses", _responses, streams=streams) for streams in (False, True)),
    _openai("embeddings", _embeddings, streams=False, kind="embedding"),
    Client("messages", "anthropic", _messages),
    Client("messages stream", "anthropic", _messages_stream, streams=True),
    Client("v2", "v2", _triton),
    Client("generate_stream", "v2", _generate_stream, streams=True),
    Client("text", "text", _posted("/v1/chat/{model}", content="x")),
    Client("v1", "v2", _posted("/v1/models/{model}:predict", json={"instances": [{}]}), kind="vision"),
    Client("image", "openai", _posted("/v1/vision/{model}", json={"image": "aGVsbG8="}), kind="vision"),
)


async def infer(target: str, *models: str) -> Seen | None:
    """What Triton's gRPC client shows of one call."""
    async with triton_grpc.InferenceServerClient(target) as client:
        try:
            await client.infer(models[0], [_tensor()])
        except InferenceServerException as err:
            return Seen(type(err), err.status(), err.message())
    return None


async def stream_infer(target: str, *models: str) -> Seen | None:
    """What Triton's gRPC client shows of a stream with a message for each model, while it keeps its side open."""

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for model in models:
            yield {"model_name": model, "inputs": [_tensor()]}
        await asyncio.Event().wait()

    async with triton_grpc.InferenceServerClient(target) as client:
        try:
            async for _, err in client.stream_infer(messages(), stream_timeout=5):
                if err is not None:
                    return Seen(type(err), err.status() or "", err.message())
        except grpc.aio.AioRpcError as err:  # the client leaves its streams' statuses as they are
            return Seen(type(err), str(err.code()), err.details() or "")
    return None


def _tensor() -> Any:
    tensor = triton_grpc.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"x"], dtype=np.object_))
    return tensor
