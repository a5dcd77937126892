"""Response objects of OpenAI's Responses API, from requests and from what is recorded.

https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from switchyard.gateway.recordings.format import Chunk, End, Entry, Head
from switchyard.http.sse import Events

Object = Mapping[str, Any]

CANCELLED = "response_cancelled"
_LAST = 4  # events among which is the one that ends a response
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_DEFAULTS: Object = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": 0,
    "metadata": {},
    "parallel_tool_calls": True,
    "service_tier": "auto",
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


def queued(response_id: str, payload: Object, created: float) -> Object:
    """Return the object of a response that has just been asked for; ``created`` is in seconds since 1970."""
    given = {name: payload[name] for name in _DEFAULTS if payload.get(name) is not None}
    return {
        **_DEFAULTS,
        **given,
        **_own(response_id, created),
        "model": payload.get("model"),
        "output": [],
        "status": "queued",
    }


def described(response_id: str, entries: Sequence[Entry], created: float, *, lost: bool) -> Object:
    """Return the object of a response of which ``entries`` are recorded; ``lost`` says that no more will be."""
    events = [entry.data for entry in entries if isinstance(entry, Chunk)]
    end = next((entry for entry in entries if isinstance(entry, End)), None)
    model = next((entry.model for entry in entries if isinstance(entry, Head)), None)
    own = _own(response_id, created)
    last = next((one for one in _parsed(events[-_LAST:])[::-1] if one.get("type") in _ENDS), None)
    if last is not None and isinstance(last.get("response"), dict):
        return {**last["response"], **own}
    begun: list[Object] = [one["response"] for one in _parsed(events[:1]) if isinstance(one.get("response"), dict)]
    first = begun[0] if begun else {}
    known = {**_DEFAULTS, "model": model, "output": [], **first, **own}
    if end is None and not lost:
        return {**known, "status": "in_progress" if events else "queued"}
    if end is not None and end.failure is not None and end.failure.code == CANCELLED:
        return {**known, "status": "cancelled"}
    if end is not None and end.failure is not None:
        error = {"code": end.failure.code, "message": end.failure.message}
    elif lost:
        error = {"code": "server_error", "message": "the gateway that made this response was lost; ask for it anew"}
    else:
        error = {"code": "server_error", "message": "the model ended the response with an error"}
    return {**known, "status": "failed", "error": error}


def input_items(given: object) -> Sequence[Object]:
    """Return the items of a request's input, with ids of their own where they have none."""
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    return [_item(number, one) for number, one in enumerate(items) if isinstance(one, dict)]


def _item(number: int, item: Object) -> Object:
    made = {"id": f"msg_{number}", "type": "message", **item}
    if isinstance(made.get("content"), str):
        kind = "output_text" if made.get("role") == "assistant" else "input_text"
        made["content"] = [{"type": kind, "text": made["content"]}]
    if made["type"] == "message":
        made.setdefault("status", "completed")
    return made


def _own(response_id: str, created: float) -> dict[str, Any]:
    own: dict[str, Any] = {"id": response_id, "object": "response", "created_at": int(created)}
    return {**own, "background": True, "store": True}


def _parsed(events: Sequence[bytes]) -> list[dict[str, Any]]:
    found = []
    for data in Events().feed(b"".join(events)):
        try:
            event = orjson.loads(data)
        except ValueError:  # such as [DONE]
            continue
        if isinstance(event, dict):
            found.append(event)
    return found
