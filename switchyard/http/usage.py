"""What an engine counted, read from its response, of which at most the last ``TAIL_BYTES`` are looked at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from switchyard.http.sse import USAGE_COMMENT

TAIL_BYTES = 4096  # an object of counts has some 300 bytes, and what vLLM writes after it has less than the rest
_FIELD = b'"usage":'
_CACHE_READ = "cache_read_input_tokens"
_MOST = 2**53 - 1  # the ledger counts in doubles where it is Redis
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "inferences", "pixels")
_decoder = json.JSONDecoder()  # orjson has no way to read a value that something follows


@dataclass(frozen=True, slots=True)
class Usage:
    """What engines counted for one call.

    Cached tokens are part of the prompt's, reasoning tokens part of the completion's. Pixels are those of the images
    that a vision model was given, before it scaled them. ``estimated`` says that the engine did not get to say it.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    inferences: int = 0
    pixels: int = 0
    estimated: bool = False

    def as_json(self) -> bytes:
        """Return the counts that are not zero as a JSON object, which ``usage_of_text`` reads."""
        return orjson.dumps({name: count for name in _COUNTS if (count := getattr(self, name))})

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            inferences=self.inferences + other.inferences,
            pixels=self.pixels + other.pixels,
            estimated=self.estimated or other.estimated,
        )


def usage_of(counted: object) -> Usage | None:
    """Read OpenAI's ``usage`` object, of chats or responses, Anthropic's, or our predictors' own; else None."""
    if not isinstance(counted, Mapping):
        return None
    prompt = _count(counted, "prompt_tokens", "input_tokens")
    cached = _detail(counted, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    if "prompt_tokens" not in counted and _CACHE_READ in counted:
        # Anthropic's input_tokens are those that the cache has nothing to do with.
        # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
        cached = _count(counted, _CACHE_READ)
        prompt += cached + _count(counted, "cache_creation_input_tokens")
    completion = _count(counted, "completion_tokens", "output_tokens")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        # No more than the whole that they are part of, whatever a model says: the rest is what is charged in full.
        cached_tokens=min(prompt, cached),
        reasoning_tokens=min(
            completion, _detail(counted, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
        ),
        inferences=_count(counted, "inferences"),
        pixels=_count(counted, "pixels"),
    )


def usage_of_text(text: bytes) -> Usage | None:
    """Read a usage object at the beginning of ``text``; None where there is none."""
    try:
        counted, _ = _decoder.raw_decode(text.decode(errors="replace").lstrip())
    except (ValueError, RecursionError):
        return None
    return usage_of(counted)


def usage_of_tail(tail: bytes) -> Usage | None:
    """Find usage in the end of a JSON body or an event stream.

    A comment of our predictors counts before a field ``usage``. Text that a model wrote cannot look like the field: in
    JSON's strings quotes are escaped.
    """
    start = (b"\n" + tail).rfind(b"\n" + USAGE_COMMENT)
    if start >= 0:
        return usage_of_text(tail[start + len(USAGE_COMMENT) :])
    start = tail.rfind(_FIELD)
    while start >= 0:
        if (usage := usage_of_text(tail[start + len(_FIELD) :])) is not None:
            return usage
        start = tail.rfind(_FIELD, 0, start)  # ``null`` in the event after the one with the counts
    return None


def _count(counted: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = counted.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST:
            return value
    return 0


def _detail(counted: Mapping[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = counted.get(group)
        if isinstance(details, Mapping):
            return _count(details, name)
    return _count(counted, name)
