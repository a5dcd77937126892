"""What Triton has beyond KServe's V2 over HTTP: its generate extension.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_generate.html
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson

from predictors.llm.v2.completion import Completion, GenerationError, InvalidRequestError, TextModel
from switchyard.http.api_errors import ApiError, event
from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.http.asgi.body import read_body
from switchyard.http.asgi.replies import JSON, reply, respond_error
from switchyard.http.asgi.serving import BODY_BYTES
from switchyard.http.json_body import parse_json

TEXT_INPUT = "text_input"
_GENERATE = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/[^/]+)?/(?P<verb>generate|generate_stream)")


class GenerateExtension:
    """``{"text_input": …, "parameters": {…}}`` to ``{"text_output": …}`` and counts; ``generate_stream`` as events.

    It stands before KServe's application, and passes everything else on. ``lost`` says whether the engine has died.
    """

    def __init__(self, kserve: App, name: str, texts: TextModel, *, generates: bool, lost: Callable[[], bool]) -> None:
        self._kserve = kserve
        self._name = name
        self._texts = texts
        self._generates = generates
        self._lost = lost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _GENERATE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._kserve(scope, receive, send)
            return
        try:
            await self._generate(found["model"], found["verb"] == "generate_stream", scope, receive, send)
        except ApiError as err:
            await respond_error(scope, send, err)

    async def _generate(self, name: str, streams: bool, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise ApiError("method_not_allowed", f"{scope['method']} is not allowed here; use POST", allow="POST")
        if name != self._name:
            raise ApiError("model_not_found", f"model {name[:80]!r} is not served here; {self._name!r} is")
        if not self._generates:
            raise ApiError("not_implemented", f"model {name} makes embeddings; POST /v2/models/{name}/infer")
        identifier, prompt, options = _read(await read_body(receive, scope, BODY_BYTES), streams)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        common = {**({"id": identifier} if identifier else {}), "model_name": name, "model_version": "1"}
        try:
            if options.pop("stream", streams):
                chunks = self._texts.stream(prompt, options, headers)
                await _send_events(send, common, await anext(chunks, None), chunks)
                return
            (completion,) = await self._texts.complete([prompt], options, headers)
        except InvalidRequestError as err:
            raise ApiError(err.code, str(err)) from err
        except GenerationError as err:
            raise ApiError("model_failed" if self._lost() else "model_error", str(err)) from err
        if streams:
            await _send_events(send, common, completion, None)
        else:
            await reply(send, 200, _encoded(common, completion), JSON)


def _read(body: bytes, streams: bool) -> tuple[str, str, dict[str, Any]]:
    """Return the request's id, its prompt and its parameters; those beside ``parameters`` count too, as in Triton.

    Raises:
        ApiError: it is no such request.
    """
    given = parse_json(body)
    nested = given.pop("parameters", {}) if isinstance(given, dict) else None
    if not isinstance(nested, dict):
        raise ApiError("invalid_value", f'send {{"{TEXT_INPUT}": "…", "parameters": {{…}}}}')
    identifier, prompt = given.pop("id", ""), given.pop(TEXT_INPUT, None)
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str):
        raise ApiError("invalid_value", f"{TEXT_INPUT} must be one text", param=TEXT_INPUT)
    return str(identifier), prompt, checked({**given, **nested}, streams=streams)


def checked(options: dict[str, Any], *, streams: bool) -> dict[str, Any]:
    """Check the options of Triton's vLLM backend that are no parameters of the model, and drop all but ``stream``.

    Raises:
        ApiError: one has a value that is not possible here.
    """
    if options.pop("exclude_input_in_output", True) is not True:
        message = "the text never begins with the prompt here; leave exclude_input_in_output out"
        raise ApiError("invalid_value", message, param="exclude_input_in_output")
    if not isinstance(options.get("stream", streams), bool):
        raise ApiError("invalid_value", "stream must be true or false", param="stream")
    if options.get("stream") and not streams:
        raise ApiError("invalid_value", "generate has one response; POST to generate_stream for a stream")
    return options


async def _send_events(
    send: Send, common: Mapping[str, str], first: Completion | None, rest: AsyncIterator[Completion] | None
) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(data: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    try:
        if first is not None:
            await write(b"data: " + _encoded(common, first) + b"\n\n")
        if rest is not None:
            async for chunk in rest:
                await write(b"data: " + _encoded(common, chunk) + b"\n\n")
    except GenerationError as err:
        await write(event(ApiError("model_error", str(err)), "v2"))
    await write(b"", more=False)


def _encoded(common: Mapping[str, str], row: Completion) -> bytes:
    counts = {"prompt_tokens": row.prompt_tokens, "completion_tokens": row.completion_tokens}
    return orjson.dumps({**common, "text_output": row.text, "finish_reason": row.finish_reason, **counts})
