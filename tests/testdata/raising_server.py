"""A server of FastAPI's with routes like KServe's and vLLM's, and a route that raises each kind of error.

A process of its own, because KServe's messages and tritonclient's have the same names in protobuf's one registry.
"""

import asyncio
import sys
from typing import Literal

from fastapi import FastAPI
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady, ServerNotReady
from pydantic import BaseModel

from predictors.serving import errors
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.serving import handler_of
from switchyard.http.server import Server
from switchyard.http.server.lifecycle import serve_until_signal

LONG_NAME = "n" * 100_000


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: dict[str, str]


class UserMessage(BaseModel):
    role: Literal["user"]
    content: str | list[TextPart | ImagePart]


class ToolMessage(BaseModel):
    role: Literal["tool"]
    content: str
    tool_call_id: str


class Chat(BaseModel):
    messages: list[UserMessage | ToolMessage]
    temperature: float | None = None
    stop: str | list[str] = []


class OfTexts(BaseModel):
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"


class OfChats(BaseModel):
    messages: list[UserMessage]
    encoding_format: Literal["float", "base64"] = "float"


class Tensor(BaseModel):
    name: str
    shape: list[int]


class InferenceRequest(BaseModel):
    inputs: list[Tensor]
    id: str | None = None


RAISED: dict[str, Exception] = {
    "unknown": ModelNotFound(LONG_NAME),
    "waking": ModelNotReady("m"),
    "stopping": ServerNotReady("it stops"),
    "text": InvalidInput("Unrecognized request format: unexpected end of data: line 1 column 2 (char 1)"),
    "invalid": InvalidInput("inputs are none; send one"),
    "failed": InferenceError("out of memory"),
    "own": ApiError("overloaded", "try again shortly"),
    "deep": RecursionError("maximum recursion depth exceeded while decoding a JSON array"),
    "bug": KeyError("secret"),
}


def app() -> FastAPI:
    """Like KServe's and vLLM's: routes with requests of several kinds, and errors of each kind."""
    made = FastAPI()
    errors.install(made)

    @made.post("/v1/chat/completions")
    @made.post("/v1/messages")
    async def chat(body: Chat) -> None: ...

    @made.post("/v1/embeddings")
    async def embeddings(body: OfTexts | OfChats) -> None: ...

    async def infer(body: InferenceRequest | bytes) -> None: ...

    # Not with ``@``: FastAPI would warn of a union with bytes.
    made.add_api_route("/v2/models/m/infer", infer, methods=["POST"])

    @made.get("/")
    async def live() -> None: ...

    @made.post("/v2/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISED[name]

    return made


async def serve(port: int) -> None:
    server = Server(handler_of(app()))
    await server.listen("127.0.0.1", port)
    await serve_until_signal(server, drain_seconds=0, on_drain=lambda: None)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
