"""What a request may cost before the engine's validation sees it: a predictor is also reached without a gateway."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from predictors.llm.bounds.fields import check_fields, check_texts, has_texts
from predictors.llm.nulls import without_nulls
from predictors.serving.application import BINARY_HEADER, OPENAI
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import check_encoding, check_json_type, media_type, parse_json
from switchyard.http.json_cost import check_items, check_json, is_cheap, outline
from switchyard.http.server import Exchange

_OPENAI = OPENAI.encode() + b"/"
_RESPONSES = _OPENAI + b"v1/responses"
_FORMS = frozenset((b"multipart/form-data", b"application/x-www-form-urlencoded"))
# The fields of requests that can constrain the text, in all protocols and in vLLM's extensions.
TEXT_CONSTRAINTS = ("response_format", "text", "output_config", "structured_outputs", "sampling_params")
CONSTRAINING = {*TEXT_CONSTRAINTS, "tools"}
_ITEMS_AT_ONCE = 8  # a millisecond or two of valid ones


class RequestCheck:
    """Checks the bodies of POST requests; ``validate`` is the engine's validation of a Responses API's ``input``.

    ``check_tensors`` gets V2 requests with binary tensors, and how much of them is JSON; it raises a ValueError.
    ``check_constraints`` gets requests of OpenAI's and Anthropic's APIs as objects; it raises an ApiError.

    The engine would try each item as each kind of item and keep all errors: 165 KB take it seconds and gigabytes. Here
    the first item that is wrong is the last that is looked at.
    """

    def __init__(
        self,
        validate: Callable[[list[Any]], None] | None,
        check_tensors: Callable[[bytes, int], None],
        check_constraints: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        self._validate = validate
        self._tensors = check_tensors
        self._constraints = check_constraints

    async def __call__(self, exchange: Exchange, body: bytes) -> bytes:
        """Check a body; return it as the engine gets it.

        Raises:
            ApiError: it costs too much, or is not JSON where the engine takes JSON.
        """
        fields = exchange.fields
        content_type = fields.get(b"content-type", b"")
        if not body or exchange.method != b"POST" or media_type(content_type) in _FORMS:
            return body
        check_encoding(fields.get(b"content-encoding", b""))
        if (length := fields.get(BINARY_HEADER)) is not None:
            await check_json(body[: _json_length(length, body)])
            self._check_tensors(body, _json_length(length, body))
            return body
        is_openai = exchange.path.startswith(_OPENAI)
        if is_openai:
            check_json_type(content_type)
        # vLLM's parser would take NaN and UTF-16 all the same, KServe's answers in its own words.
        payload = parse_json(await outline(body), body)
        if not is_openai or not isinstance(payload, dict):
            return body
        check_items(payload)
        check_fields(payload, exchange.path)
        if has_texts(payload):  # of which an outline has none that is long
            await check_texts(payload if is_cheap(body) else parse_json(body, body))
        body, payload = without_nulls(body, payload)
        if self._validate is not None and exchange.path == _RESPONSES and isinstance(payload.get("input"), list):
            await self._check_input(payload["input"], self._validate)
        if self._constraints is not None and not CONSTRAINING.isdisjoint(payload):
            # All of it: what an outline leaves out may be what makes a schema dear.
            await self._constraints(payload if is_cheap(body) else parse_json(body, body))
        return body

    def _check_tensors(self, body: bytes, json_length: int) -> None:
        try:
            self._tensors(body, json_length)
        except ValueError as err:
            raise ApiError("invalid_value", f"the binary tensors cannot be read: {err}") from err

    async def _check_input(self, items: list[Any], validate: Callable[[list[Any]], None]) -> None:
        for index, item in enumerate(items):
            try:
                validate([item])
            except ValidationError as err:
                message = f"input[{index}] is no item of the Responses API: {_closest(err)}"
                raise ApiError("invalid_value", message, param=f"input[{index}]") from err
            if index % _ITEMS_AT_ONCE == 0:
                await asyncio.sleep(0)


def _json_length(length: bytes, body: bytes) -> int:
    """Return the length of the JSON before binary tensors."""
    if not re.fullmatch(rb"[0-9]{1,12}", length) or int(length) > len(body):
        name, given = BINARY_HEADER.decode(), length[:20].decode("latin-1")
        raise ApiError("invalid_value", f"{name} is {given}, and the body has {len(body)} bytes")
    return int(length)


def _closest(err: ValidationError) -> str:
    """Return the error that lies deepest: of the kind of item that the client meant, most likely."""
    found = max(err.errors(include_url=False, include_context=False), key=lambda one: len(one["loc"]))
    # Between the names of fields are those of the kinds that were tried.
    path = [str(part) for part in found["loc"][3:] if re.fullmatch("[a-z0-9_]+", str(part))]
    return f"{'.'.join(path)}: {found['msg']}" if path else found["msg"]
