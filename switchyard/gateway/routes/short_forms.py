"""Short forms: small requests that are translated to OpenAI's, and the responses translated back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object

_CODE = "You write code. Answer with the code alone, without explanations and without Markdown fences."
_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "max_tokens": int,
    "temperature": (int, float),
    "stream": bool,
}

Payload = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One short form: ``request`` makes the OpenAI request, ``text_of`` reads the text of a response or a chunk of one.

    ``text`` forms take and stream plain text; the others take JSON and respond with a JSON object, or events of
    objects.
    """

    upstream: str
    text: bool
    request: Callable[[bytes, Mapping[str, str]], Payload]
    text_of: Callable[[Payload], str]

    def response(self, whole: Payload) -> bytes:
        """Translate a whole OpenAI response."""
        choice = (whole.get("choices") or [{}])[0]
        short = {
            "model": whole.get("model"),
            "text": self.text_of(whole),
            "finish_reason": choice.get("finish_reason"),
            "usage": whole.get("usage"),
        }
        return orjson.dumps(short)

    def frame(self, data: bytes) -> bytes:
        """Translate the data of one event of an OpenAI stream to what the client gets."""
        if data == b"[DONE]":
            return b"" if self.text else b"data: [DONE]\n\n"
        text = self.text_of(orjson.loads(data))
        if self.text:
            return text.encode()
        return b"data: " + orjson.dumps({"text": text}) + b"\n\n" if text else b""


def _fields(body: bytes, text_field: str, *extra: str) -> Payload:
    payload = parse_object(body)
    known = {text_field: str, **dict.fromkeys(extra, str), **_OPTIONS}
    for name, value in payload.items():
        if name not in known:
            raise ApiError("invalid_value", f"unknown field {name}; known: {', '.join(known)}", param=name)
        value = payload[name] = _whole(value) if known[name] is int else value
        # To Python a bool is an int, and ``"max_tokens": true`` would be 1 for vLLM.
        is_flag = isinstance(value, bool)
        if value is not None and (not isinstance(value, known[name]) or is_flag is not (known[name] is bool)):
            raise ApiError("invalid_value", f"field {name} has a value of the wrong type", param=name)
    if not payload.get(text_field):
        raise ApiError("invalid_value", f"field {text_field} is missing or empty", param=text_field)
    return {name: value for name, value in payload.items() if value is not None}


def _whole(value: Any) -> Any:
    """Return a number such as 8.0, which to JSON Schema is as whole as 8, as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _messages(text: str, system: str | None) -> list[dict[str, str]]:
    user = {"role": "user", "content": text}
    return [{"role": "system", "content": system}, user] if system else [user]


def _chat(body: bytes, params: Mapping[str, str]) -> Payload:
    fields = _fields(body, "prompt", "system")
    messages = _messages(fields.pop("prompt"), fields.pop("system", None))
    return {"messages": messages, **fields}


def _generate(body: bytes, params: Mapping[str, str]) -> Payload:
    fields = _fields(body, "text")
    return {"prompt": fields.pop("text"), **fields}


def _plain(system: str | None) -> Callable[[bytes, Mapping[str, str]], Payload]:
    def request(body: bytes, params: Mapping[str, str]) -> Payload:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise ApiError("invalid_value", "the body is not UTF-8 text") from None
        if not text.strip():
            raise ApiError("invalid_value", "the body is empty; send the text itself")
        return {"model": params["model"], "messages": _messages(text, system), "stream": True}

    return request


def _chat_text(payload: Payload) -> str:
    choice = (payload.get("choices") or [{}])[0]
    return (choice.get("delta") or choice.get("message") or {}).get("content") or ""


def _completion_text(payload: Payload) -> str:
    return (payload.get("choices") or [{}])[0].get("text") or ""


_CHAT_PATH = "/openai/v1/chat/completions"
CHAT_FORM = Form(upstream=_CHAT_PATH, text=False, request=_chat, text_of=_chat_text)
GENERATE_FORM = Form(upstream="/openai/v1/completions", text=False, request=_generate, text_of=_completion_text)
CHAT_TEXT = Form(upstream=_CHAT_PATH, text=True, request=_plain(None), text_of=_chat_text)
CODE_TEXT = Form(upstream=_CHAT_PATH, text=True, request=_plain(_CODE), text_of=_chat_text)
