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
_MOST = 2**40  # more than any call uses; sums and costs of such counts are still numbers that a ledger can have
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
    """Read OpenAI's ``usage`` object, of chats or responses, Anthropic's, or our predictors' own; else None.

    None too where a count is no count, or all are null: what an engine says wrongly of one, it does not say.
    """
    if not isinstance(counted, Mapping) or (counted and all(value is None for value in counted.values())):
        return None
    try:
        return _read(counted)
    except ValueError:
        return None


def _read(counted: Mapping[str, Any]) -> Usage:
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
    return usage_of(_parsed(text))


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
        if isinstance(counted := _parsed(tail[start + len(_FIELD) :]), Mapping):
            return usage_of(counted)
        start = tail.rfind(_FIELD, 0, start)  # ``null`` in the event after the one with the counts
    return None


def _parsed(text: bytes) -> object:
    try:
        return _decoder.raw_decode(text.decode(errors="replace").lstrip())[0]
    except (ValueError, RecursionError):
        return None


def _count(counted: Mapping[str, Any], *names: str) -> int:
    """Return the count by the first of ``names`` that is there and not null, as vLLM's may be; 0 without one.

    Raises:
        ValueError: what is there is no count.
    """
    value = next((value for name in names if (value := counted.get(name)) is not None), 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"{names[0]} is no count")
    return value


def _detail(counted: Mapping[str, Any], groups: tuple[str, ...], name: str) -> int:
    """Return a part of another count; one that is no count is 0, so the whole is charged in full."""
    details = next((counted[group] for group in groups if isinstance(counted.get(group), Mapping)), counted)
    try:
        return _count(details, name)
    except ValueError:
        return 0
