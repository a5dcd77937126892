"""A stream from a plain response, and the other way round, where nothing is lost or made up.

That is so for the text of chats and completions. Tool calls and reasoning are found by other code in a stream than in a
whole response (vLLM's parsers have a method for each), and token ids and probabilities come in other shapes: a response
that has any field beyond those here is not converted.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
_DONE = b"[DONE]"
_WHOLE = frozenset(("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"))
_CHOICE = frozenset(("index", "finish_reason", "stop_reason"))
_MESSAGE = frozenset(("role", "content"))
_OBJECTS = {CHAT: ("chat.completion", "chat.completion.chunk"), COMPLETION: ("text_completion", "text_completion")}
_PASSED = ("system_fingerprint", "service_tier")


class _LossError(ValueError):
    """The other form would have less than this one, or more."""


def may_convert(path: str, payload: Mapping[str, Any]) -> bool:
    """Whether the response to a request may be had in the other form; the response decides in the end."""
    return path in _OBJECTS and not payload.get("tools") and not payload.get("functions")


def other_form(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fields of the form from which the one that is asked for can be made, None where there is none.

    A plain response has its usage, so only a stream that ends with it will do.
    """
    options = payload.get("stream_options")
    if payload.get("stream") is not True:
        with_usage = {"stream": True, "stream_options": {"include_usage": True}}
        return None if options or payload.get("stream") or payload.get("stream_interval") else with_usage
    if payload.get("stream_interval") or not isinstance(options or {}, Mapping):
        return None
    return {} if not {name for name, value in (options or {}).items() if value} - {"include_usage"} else None


def to_plain(path: str, data: Iterable[bytes]) -> bytes | None:
    """Return a plain response with what the events' ``data`` say; None if that is not exact."""
    try:
        return orjson.dumps(_plain(path, data))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def to_stream(path: str, body: bytes, *, with_usage: bool) -> Sequence[bytes] | None:
    """Return events that say what a plain response does; None if that is not exact."""
    try:
        return [b"data: " + text + b"\n\n" for text in _events(path, orjson.loads(body), with_usage=with_usage)]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _plain(path: str, data: Iterable[bytes]) -> dict[str, Any]:
    whole, usage, ended = dict[str, Any](), None, False
    choices: dict[int, dict[str, Any]] = {}
    for text in data:
        ended = text == _DONE
        if ended:
            continue
        chunk = _forbid_extra(orjson.loads(text), _WHOLE)
        whole = whole or {name: chunk[name] for name in ("id", "created", "model")}
        whole |= {name: chunk[name] for name in _PASSED if chunk.get(name) is not None}
        usage = chunk.get("usage") or usage
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"index": part["index"], "text": "", "finish_reason": None})
            choice["text"] += _text_of(path, part, "delta")
            choice |= {name: part[name] for name in ("finish_reason", "stop_reason") if part.get(name) is not None}
    if not ended or not choices or not isinstance(usage, Mapping):
        raise _LossError
    made = [_choice(path, choices[index], "message") for index in sorted(choices)]
    return {**whole, "object": _OBJECTS[path][0], "choices": made, "usage": usage}


def _events(path: str, body: Mapping[str, Any], *, with_usage: bool) -> Iterable[bytes]:
    whole = _forbid_extra(body, _WHOLE)
    base = {"id": whole["id"], "object": _OBJECTS[path][1], "created": whole["created"], "model": whole["model"]}
    passed = {name: whole[name] for name in _PASSED if whole.get(name) is not None}
    found: list[dict[str, Any]] = []
    for part in whole["choices"]:
        text = _text_of(path, part, "message")
        choice = {name: part.get(name) for name in ("index", "finish_reason", "stop_reason")}
        if path == CHAT:
            first = {"index": part["index"], "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            found.append({**base, "choices": [first]})
        last = {**base, "choices": [_choice(path, {**choice, "text": text}, "delta")]}
        found.append(last if with_usage else {**last, **passed})
    if not found:
        raise _LossError
    if with_usage:
        found.append({**base, "choices": [], "usage": whole["usage"], **passed})
    return [*map(orjson.dumps, found), _DONE]


def _text_of(path: str, choice: Mapping[str, Any], within: str) -> str:
    """Return the text of a choice, or of a part of one."""
    if path == CHAT:
        message = _forbid_extra(_forbid_extra(choice, _CHOICE | {within})[within], _MESSAGE)
        if message.get("role") not in (None, "assistant"):
            raise _LossError
        text = message.get("content")
        text = "" if text is None and within == "delta" else text
    else:
        text = _forbid_extra(choice, _CHOICE | {"text"})["text"]
    if not isinstance(text, str):
        raise _LossError
    return text


def _choice(path: str, choice: Mapping[str, Any], within: str) -> dict[str, Any]:
    """Return a choice with its text where the path has it, and with its end."""
    if choice["finish_reason"] is None:
        raise _LossError
    stop = choice.get("stop_reason")
    ended = {"logprobs": None, "finish_reason": choice["finish_reason"], "stop_reason": stop}
    if path == COMPLETION:
        return {"index": choice["index"], "text": choice["text"], **ended}
    role = {"role": "assistant"} if within == "message" else {}
    return {"index": choice["index"], within: {**role, "content": choice["text"]}, **ended}


def _forbid_extra(found: Mapping[str, Any], allowed: frozenset[str]) -> Mapping[str, Any]:
    """Return ``found`` if it says nothing but what is ``allowed``; null and empty lists and objects say nothing."""
    if any(value not in (None, [], {}) for name, value in found.items() if name not in allowed):
        raise _LossError
    return found
