"""Embeddings one by one: a request for many texts asks the model for those alone that nobody has asked for yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

BODY_BYTES = 1024 * 1024  # of a request that is taken apart: its JSON is read at once, in some 5 ms
ITEMS = 512  # of 4096 numbers each they are some 25 MB of JSON, which is held until all of it is there
_FORMATS = (None, "float", "base64")  # others are bytes, and no list


@dataclass(frozen=True, slots=True)
class Item:
    """One embedding as the model wrote it, and the tokens of its text.

    Of texts that were asked for together only the sum is known: each has its part of that, by its length. So the sum is
    right when they are asked for together again.
    """

    embedding: Any
    tokens: int
    model: str

    def dumps(self) -> bytes:
        """Return it as it is kept."""
        return orjson.dumps((self.tokens, self.model, self.embedding))

    @staticmethod
    def loads(data: bytes) -> "Item | None":
        """Read what ``dumps`` wrote; None where something else is there."""
        try:
            tokens, model, embedding = orjson.loads(data)
        except (ValueError, TypeError):
            return None
        if isinstance(tokens, int) and isinstance(model, str) and isinstance(embedding, list | str):
            return Item(embedding, tokens, model)
        return None


def inputs_of(payload: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the texts, or lists of tokens, of a request that can be taken apart; None for any other.

    A text of its own is one too: a request for many finds it.
    """
    given = payload.get("input")
    if payload.get("encoding_format") not in _FORMATS or "messages" in payload:
        return None
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not 0 < len(given) <= ITEMS:
        return None
    if all(isinstance(one, int) for one in given):  # the tokens of one text
        return [given]
    if all(isinstance(one, str) for one in given) or all(map(_is_tokens, given)):
        return given
    return None


def _is_tokens(one: object) -> bool:
    return isinstance(one, list) and bool(one) and all(isinstance(token, int) for token in one)


def name_of(shared: str, item: Any) -> str:
    """Return the name of an item; ``shared`` is the key of the request without its input."""
    return f"item:{shared}/{sha256(orjson.dumps(item)).hexdigest()}"


def with_inputs(payload: Mapping[str, Any], inputs: Sequence[Any]) -> bytes:
    """Return the body of the same request for these inputs alone."""
    return orjson.dumps({**payload, "input": list(inputs)})


def split(body: bytes, inputs: Sequence[Any]) -> Sequence[Item] | None:
    """Return the items of a model's response to ``inputs``; None if that is another one than OpenAI's."""
    try:
        said = orjson.loads(body)
        data, tokens, model = said["data"], said["usage"]["prompt_tokens"], said["model"]
        found = {one["index"]: one["embedding"] for one in data}
        if sorted(found) != list(range(len(inputs))) or len(data) != len(inputs) or not isinstance(model, str):
            return None
        parts = _parts(int(tokens), [len(one) for one in inputs])
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return [Item(found[at], part, model) for at, part in enumerate(parts)]


def _parts(total: int, weights: Sequence[int]) -> Sequence[int]:
    """Divide a total by weights into whole numbers, the sum of which it is."""
    whole, before, parts = sum(weights) or 1, 0, []
    passed = 0
    for weight in weights:
        passed += weight
        until = total * passed // whole
        parts.append(until - before)
        before = until
    parts[-1] += total - before
    return parts


def merged(items: Sequence[Item], request_id: str, created: int) -> bytes:
    """Return the response that a model would give for all ``items``, in their order."""
    tokens = sum(item.tokens for item in items)
    data = [{"index": at, "object": "embedding", "embedding": item.embedding} for at, item in enumerate(items)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": None}
    whole = {"id": f"embd-{request_id}", "object": "list", "created": created, "model": items[0].model}
    return orjson.dumps({**whole, "data": data, "usage": usage})
