"""Reads client bodies as conversations: chat, responses, messages and plain completions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


class MalformedBodyError(ValueError):
    """The body is in none of the supported formats; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``system`` and ``user`` are texts in order; ``characters`` counts everything, responses and tools included.

    ``answered``: the assistant responded before the last turn. ``tool_result``: the last turn holds results of tools.
    ``readable`` is False for a prompt that is given as tokens; ``tokens`` counts those.
    """

    system: str
    user: tuple[str, ...]
    characters: int
    answered: bool = False
    tool_result: bool = False
    readable: bool = True
    tokens: int = 0


def read(body: Body) -> Conversation:
    """Read the conversation of a body.

    Raises:
        MalformedBodyError: there is no ``messages``, ``input`` or ``prompt``, or its value is not valid.
    """
    if "messages" in body:
        return _turns(_items(body["messages"], "messages"), _text(body.get("system")), _size(body.get("tools")))
    if "input" in body:
        asked = body["input"]
        items = _items([{"role": "user", "content": asked}] if isinstance(asked, str) else asked, "input")
        return _turns(items, _text(body.get("instructions")), _size(body.get("tools")))
    if "prompt" in body:
        return _prompt(body["prompt"])
    raise MalformedBodyError(
        "the body has no `messages`, `input` or `prompt`; send a chat, responses or completions request"
    )


def _prompt(prompt: object) -> Conversation:
    prompts = prompt if isinstance(prompt, list) else [prompt]
    texts = tuple(one for one in prompts if isinstance(one, str))
    if texts and len(texts) == len(prompts):
        return Conversation("", texts, sum(map(len, texts)))
    flat = [token for one in prompts for token in (one if isinstance(one, list) else [one])]
    if isinstance(prompt, list) and flat and all(isinstance(token, int) for token in flat):
        # Tokens of a tokenizer that is unknown here: counted for the context, not read.
        return Conversation("", (), 0, readable=False, tokens=len(flat))
    raise MalformedBodyError("`prompt` is neither a text, a list of texts nor tokens")


def _items(value: object, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
        raise MalformedBodyError(
            f"`{name}` must be a list of at least one message, each an object with `role` and `content`"
        )
    return value


def _turns(items: list[Mapping[str, Any]], system: str, tools: int) -> Conversation:
    systems, user, characters, answered = [system] if system else [], list[str](), len(system) + tools, False
    for item in items:
        text = _text(item.get("content"))
        characters += (
            len(text) + _size(item.get("tool_calls")) + _size(item.get("output")) + _size(item.get("arguments"))
        )
        match item.get("role"):
            case "system" | "developer":
                systems.append(text)
            case "assistant":
                answered = True
            case "user" if text:
                user.append(text)
            case _:
                pass
    return Conversation("\n".join(systems), tuple(user), characters, answered, _brings_results(items[-1]), bool(user))


def _brings_results(item: Mapping[str, Any]) -> bool:
    """Whether an item holds results of tools, in the format of chat, responses or Anthropic's messages."""
    if item.get("role") in ("tool", "function") or str(item.get("type", "")).endswith("_call_output"):
        return True
    content = item.get("content")
    return isinstance(content, list) and any(
        isinstance(part, Mapping) and part.get("type") == "tool_result" for part in content
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts: Iterable[object] = content if isinstance(content, list) else ()
    return "\n".join(
        str(part["text"]) for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)
    )


def _size(value: object) -> int:
    """Estimate the number of characters that a template makes of a value."""
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return 0 if value is None else len(str(value))
